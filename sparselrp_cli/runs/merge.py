"""Shards of one run put together: the files of the whole run."""

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Block, Packer
from sparselrp_cli.outputs.tables import read_skipped
from sparselrp_cli.runs.manifest import difference, without_results
from sparselrp_cli.runs.run_files import Results, RunSummary, path_of, write_results
from sparselrp_cli.runs.shards import Shard
from sparselrp_cli.runs.totals import Totals

OF_A_SHARD = re.compile(r"([1-9]\d{0,8})/([1-9]\d{0,8})", re.ASCII)


@dataclass(frozen=True, slots=True, eq=False)
class _Piece:
    """A shard: its archive, and what its manifest says."""

    reader: ArchiveReader
    shard: Shard

    @property
    def path(self) -> Path:
        return self.reader.path

    @property
    def skipped(self) -> Path:
        return path_of(self.path.with_suffix(""), ".skipped.tsv")

    @property
    def agreement(self) -> dict[str, float] | None:
        """With float32, where it was measured."""
        accounting = self.reader.manifest.get("accounting")
        found = accounting.get("agreement_with_float32") if isinstance(accounting, dict) else None
        return found if isinstance(found, dict) else None

    def manifest(self) -> dict[str, Any]:
        """Give what identifies the run, without what differs between shards."""
        found = without_results(self.reader.manifest)
        own = ("shard", "formats", "overlap")
        models = "models" if "models" in found else "model"
        wanted: dict[str, type | tuple[type, ...]] = {"inputs": dict, models: (dict, list), "runtime": dict}
        if not all(isinstance(found.get(key), kind) for key, kind in wanted.items()):
            raise self.damaged()
        return {**found, "settings": {k: v for k, v in found["settings"].items() if k not in own}}

    def count(self, what: str) -> int:
        """Give a count of the shard's manifest."""
        counts = self.reader.manifest.get("counts")
        number = counts.get(what) if isinstance(counts, dict) else None
        if not isinstance(number, int):
            raise self.damaged()
        return number

    def damaged(self) -> InputError:
        """Make the error of a manifest that isn't one."""
        return InputError(f"{self.path}: its manifest is damaged; copy it again, or run the shard again")


def merge(
    archives: Sequence[Path],
    prefix: Path,
    formats: Sequence[str] | None,
    overlap: str,
    command: Sequence[str],
) -> RunSummary:
    """Write the files of the whole run, from its shards in any order.

    The bytes are those of the run without ``--shard``, but for the command line in ``PREFIX.manifest.json``.

    Parameters
    ----------
    archives : sequence of Path
        ``SHARD.h5``, each with its ``SHARD.skipped.tsv``.
    formats : sequence of str or None
        None takes what `attribute` would.

    Raises
    ------
    InputError
        If a shard is missing, there twice, or of another run.
    OutputError
        If a file can't be read or written.
    """
    with ExitStack() as stack:
        stack.enter_context(locked(prefix))
        pieces = _ordered([_piece(stack.enter_context(ArchiveReader(path))) for path in archives])
        for piece in pieces:
            if piece.path.resolve() == path_of(prefix, ".h5").resolve():
                raise InputError(f"{piece.path} is a shard and would be replaced; choose another --output")
        first = pieces[0]
        manifest = first.manifest()
        _require_one_run(pieces, manifest)
        tracks = "bigwig" if "regions" in manifest["inputs"] else "bedgraph"
        manifest["settings"] |= {"overlap": overlap, "formats": list(formats or ("h5", tracks))}
        reader = first.reader
        shape = ArchiveShape(
            reader.window_length, tuple(reader.target_names), reader.dtype.name, reader.has_spread
        )
        totals = Totals(
            shape.target_names,
            ambiguous=sum(piece.count("ambiguous_bases") for piece in pieces),
            agreement=next(filter(None, (piece.agreement for piece in pieces)), None),
        )
        if not any(piece.reader.n_windows for piece in pieces):
            raise InputError("none of the shards has a window; see their .skipped.tsv for the reasons")
        results = Results(prefix, shape, manifest, reader.chrom_sizes, totals, command)
        return write_results(results, _blocks(pieces, shape, path_of(prefix, ".h5")))


def _piece(reader: ArchiveReader) -> _Piece:
    settings = reader.manifest.get("settings")
    text = settings.get("shard") if isinstance(settings, dict) else None
    found = OF_A_SHARD.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise InputError(f"{reader.path} isn't a shard; give what `sparselrp attribute --shard I/N` wrote")
    return _Piece(reader, Shard(int(found[1]), int(found[2])))


def _ordered(pieces: Sequence[_Piece]) -> list[_Piece]:
    """Put shards in order, each once."""
    first = pieces[0]
    by_index: dict[int, _Piece] = {}
    for piece in pieces:
        if piece.shard.of != first.shard.of:
            raise InputError(
                f"{piece.path} is shard {piece.shard} and {first.path} is shard {first.shard}; give the"
                " shards of one run"
            )
        if other := by_index.get(piece.shard.index):
            raise InputError(f"{piece.path} and {other.path} are both shard {piece.shard}; give each once")
        by_index[piece.shard.index] = piece
    missing = (i for i in range(1, first.shard.of + 1) if i not in by_index)
    if number := next(missing, 0):
        n_missing = first.shard.of - len(by_index)
        others = f" and {n_missing - 1} more" if n_missing > 1 else ""
        raise InputError(f"shard {number}/{first.shard.of}{others} is missing; run it, or name its .h5 too")
    return [by_index[i] for i in sorted(by_index)]


def _require_one_run(pieces: Sequence[_Piece], manifest: dict[str, Any]) -> None:
    for piece in pieces[1:]:
        if other := difference(manifest, piece.manifest()):
            raise InputError(
                f"{piece.path} is of another run than {pieces[0].path}: {other}; make the shards with"
                " the same inputs and options"
            )
        if piece.reader.chrom_sizes != pieces[0].reader.chrom_sizes:
            raise InputError(f"{piece.path} and {pieces[0].path} are on genomes with other chromosomes")


def _blocks(
    pieces: Sequence[_Piece], shape: ArchiveShape, path: Path
) -> Iterator[tuple[Block | None, list[tuple[str, ...]]]]:
    """Read the rows of all shards, and the lines of what they skipped."""
    packer = Packer(shape, path)
    for piece in pieces:
        lines = list(read_skipped(piece.skipped))
        if len(lines) != piece.count("skipped"):
            raise OutputError(f"{piece.skipped} doesn't belong to {piece.path}; copy both again")
        yield None, lines
        for rows in piece.reader.chunks(shape.block_rows):
            for block in packer.add(piece.reader.rows(rows)):
                yield block, []
    for block in packer.flush():
        yield block, []
