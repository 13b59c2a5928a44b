"""Motif matrices as other programs read them: MEME, JASPAR, TRANSFAC, and TF-MoDISco's HDF5."""

from collections.abc import Sequence
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
from Bio.motifs import jaspar, transfac
from Bio.motifs import write as as_text

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.hdf5 import created
from sparselrp_cli.motifs.alignment import Context, frequencies
from sparselrp_cli.motifs.discovery import Motif
from sparselrp_cli.motifs.seqlets import Seqlets

# Fi-NeMo stacks the patterns: all are of one width, TF-MoDISco's own.
PATTERN = 50
Named = Sequence[tuple[str, Motif]]


def write_matrices(prefix: Path, motifs: Named, matched: dict[str, str]) -> list[Path]:
    """Write ``PREFIX.motifs.meme``, ``.jaspar`` and ``.transfac``.

    Parameters
    ----------
    prefix : Path
    motifs : sequence of (name, Motif)
    matched : dict
        The name of the best match, for motifs that have one.

    Returns
    -------
    list of Path

    Raises
    ------
    OutputError
    """
    texts = {
        "meme": _meme(motifs, matched),
        "jaspar": as_text([_jaspar(name, m, matched) for name, m in motifs], "jaspar"),  # type: ignore[no-untyped-call]
        "transfac": as_text([_transfac(name, m, matched) for name, m in motifs], "transfac"),  # type: ignore[no-untyped-call]
    }
    written = []
    for ending, text in texts.items():
        path = prefix.with_name(f"{prefix.name}.motifs.{ending}")
        with replacing(path) as hidden:
            hidden.write_text(text, encoding="utf-8", newline="\n")
        written.append(path)
    return written


def write_patterns(
    path: Path, motifs: Named, contexts: dict[int, Context], seqlets: dict[int, Seqlets]
) -> None:
    """Write the motifs as TF-MoDISco does, for Fi-NeMo and `modisco report`.

    Groups ``pos_patterns`` and ``neg_patterns`` with a group ``pattern_i`` for each motif, 50 bp wide:
    ``sequence``, ``contrib_scores``, ``hypothetical_contribs`` (50, 4), and ``seqlets`` with their places in
    the rows of the archive.

    Raises
    ------
    OutputError
    """
    with replacing(path) as hidden, created(hidden) as output:
        file = output.file
        file.attrs["window_size"] = PATTERN
        numbers = {1: 0, -1: 0}
        for _, motif in motifs:
            sign = motif.sign
            group = file.require_group("pos_patterns" if sign > 0 else "neg_patterns")
            pattern = group.create_group(f"pattern_{numbers[sign]}")
            numbers[sign] += 1
            _write_pattern(pattern, motif, contexts[sign], seqlets[sign])


def _write_pattern(pattern: h5py.Group, motif: Motif, context: Context, seqlets: Seqlets) -> None:
    flank = (PATTERN - motif.width) // 2
    wide = motif.instances.window(-flank, PATTERN - flank)
    maps = {
        "sequence": wide.cut(context.one_hot),
        "contrib_scores": wide.cut(context.contributions),
        "hypothetical_contribs": wide.cut(context.hypothetical),
    }
    members = pattern.create_group("seqlets")
    for name, values in maps.items():
        pattern.create_dataset(name, data=values.mean(axis=0))
        members.create_dataset(name, data=values)
    start = seqlets.centre[wide.index] + wide.start - context.middle
    columns: dict[str, npt.NDArray[np.generic]] = {
        "n_seqlets": np.array([len(wide.index)]),
        "example_idx": seqlets.row[wide.index],
        "start": start,
        "end": start + PATTERN,
        "is_revcomp": wide.reverse,
    }
    for name, column in columns.items():
        members.create_dataset(name, data=column)


def _meme(motifs: Named, matched: dict[str, str]) -> str:
    lines = [
        "MEME version 4", "", "ALPHABET= ACGT", "", "strands: + -", "",
        "Background letter frequencies", "A 0.25 C 0.25 G 0.25 T 0.25", "",
    ]  # fmt: skip
    for name, motif in motifs:
        n_sites = len(motif.instances.index)
        lines.append(f"MOTIF {name} {matched.get(name, '')}".rstrip())
        lines.append(f"letter-probability matrix: alength= 4 w= {motif.width} nsites= {n_sites} E= 0")
        lines += [" ".join(f"{value:.6f}" for value in row) for row in frequencies(motif.counts)]
        lines.append("")
    return "\n".join(lines)


def _counts(motif: Motif) -> dict[str, list[int]]:
    """Whole numbers of bases."""
    return {base: [round(x) for x in column] for base, column in zip("ACGT", motif.counts.T, strict=True)}


def _jaspar(name: str, motif: Motif, matched: dict[str, str]) -> jaspar.Motif:
    return jaspar.Motif(name, matched.get(name, motif.consensus), alphabet="ACGT", counts=_counts(motif))  # type: ignore[no-untyped-call]


def _transfac(name: str, motif: Motif, matched: dict[str, str]) -> transfac.Motif:
    entry = transfac.Motif(alphabet="ACGT", counts=_counts(motif))  # type: ignore[no-untyped-call]
    entry["AC"], entry["ID"], entry["NA"] = name, name, matched.get(name, motif.consensus)
    return entry
