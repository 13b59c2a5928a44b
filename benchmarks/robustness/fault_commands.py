"""The commands that faults are injected into: small inputs, what lies there before, and what is typed."""

import json
import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import h5py
import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file

from sparselrp_cli.model.architectures.pooled_cnn import PooledCNN

WINDOW = 60
SITE = "TTGTTGCATACT"
ALL_FORMATS = "h5,bigwig,bedgraph,modisco,finemo,modisco-h5"
ARCHITECTURE: Mapping[str, object] = MappingProxyType(
    {
        "window": WINDOW, "channels": [8, 8], "widths": [7, 3], "pools": [2, 2], "dense": [8], "tasks": 2,
        "global_pool": True,
    }
)  # fmt: skip
FACTORY = f"""
import torch
from torch import nn


class Net(nn.Module):
    window = {WINDOW}

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.scan, self.head = nn.Conv1d(4, 8, 7, padding=3), nn.Linear(8, 2)

    def forward(self, x):
        return self.head(torch.relu(self.scan(x)).amax(-1))
"""


@dataclass(frozen=True)
class Inputs:
    """What the commands read; nothing here fails.

    Attributes
    ----------
    folder : Path
        With ``regions.bed``, ``calls.vcf``, ``hits.bed``, ``net.py``, ``model/``, ``keras.h5`` and
        ``known.meme``.
    """

    folder: Path

    @classmethod
    def written(cls, folder: Path) -> "Inputs":
        """Write them all."""
        rng = np.random.default_rng(1)
        letters = rng.choice(list("ACGT"), 12_000)
        starts = range(100, 11_900, 100)
        for start in starts:
            letters[start + 24 : start + 24 + len(SITE)] = list(SITE)
        genome = "".join(letters)
        (folder / "genome.fa").write_text(f">chr1\n{genome}\n>chr2\n{genome[::-1][:900]}\n")
        lines = [f"chr1\t{s}\t{s + WINDOW}\tr{s}\t0\t{'+-'[s // 100 % 2]}\n" for s in starts]
        (folder / "regions.bed").write_text("".join([*lines, "chr9\t5\t9\tnowhere\t0\t+\n"]))
        (folder / "calls.vcf").write_text(vcf(genome, starts))
        hits = [f"chr1\t{s + 24}\t{s + 24 + len(SITE)}\tsite\t0\t+\n" for s in starts[:6]]
        (folder / "hits.bed").write_text("".join(hits))
        (folder / "net.py").write_text(FACTORY)
        write_model(folder / "model")
        write_keras(folder / "keras.h5", rng)
        write_motifs(folder / "known.meme", rng)
        return cls(folder)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name


def vcf(genome: str, starts: Sequence[int]) -> str:
    lines = ["##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"]
    for start in starts[:12]:
        ref = genome[start + 30]
        lines.append(f"chr1\t{start + 31}\tv{start}\t{ref}\t{'ACGT'['ACGT'.index(ref) - 1]}\n")
    return "".join([*lines, "chr1\t50\tsymbolic\tA\t<DEL>\n"])


def write_model(folder: Path) -> None:
    """Write a model folder of a named architecture, whose graph is kept in the cache; it knows the site."""
    torch.manual_seed(0)
    net = PooledCNN(**ARCHITECTURE)
    state = net.state_dict()
    first = next(name for name, value in state.items() if value.shape == (8, 4, 7))
    state[first][2:] *= 0.05  # the site has the most relevance, and so seqlets, a motif and hits
    for shift in range(2):
        for i, base in enumerate(SITE[shift : shift + 7]):
            state[first][shift, :, i] = -0.5
            state[first][shift, "ACGT".index(base), i] = 1.0
    folder.mkdir()
    save_file(state, folder / "weights.safetensors")
    spec = {
        "schema_version": 1, "name": "tiny",
        "architecture": {"name": "pooled-cnn", "arguments": dict(ARCHITECTURE)},
        "weights": "weights.safetensors", "window": WINDOW, "alphabet": "ACGT", "layout": "NCL",
        "outputs": [{"name": "y", "tasks": ["a", "b"]}],
    }  # fmt: skip
    (folder / "model.json").write_text(json.dumps(spec))


def write_keras(path: Path, rng: np.random.Generator) -> None:
    """Write a Keras 2 model: flattened bases and a dense layer."""

    def layer(kind: str, name: str, source: str | None, **more: object) -> dict[str, object]:
        inbound = [[[source, 0, 0, {}]]] if source else []
        return {"class_name": kind, "name": name, "config": {"name": name, **more}, "inbound_nodes": inbound}

    layers = [
        layer("InputLayer", "dna", None, batch_input_shape=[None, WINDOW, 4]),
        layer("Flatten", "flat", "dna"),
        layer("Dense", "head", "flat", activation="linear", use_bias=True),
    ]
    model = {"layers": layers, "input_layers": [["dna", 0, 0]], "output_layers": [["head", 0, 0]]}
    weights = {"kernel:0": rng.normal(size=(4 * WINDOW, 2)), "bias:0": rng.normal(size=2)}
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Model", "config": model})
        for entry in layers:
            group = file.create_group(f"model_weights/{entry['name']}")
            own = weights if entry["name"] == "head" else {}
            group.attrs["weight_names"] = np.array([f"head_1/{role}" for role in own], dtype="S")
            for role, array in own.items():
                group[f"head_1/{role}"] = array.astype(np.float32)


def write_motifs(path: Path, rng: np.random.Generator) -> None:
    known = np.array([[0.97 if base == b else 0.01 for b in "ACGT"] for base in SITE])
    matrices = {"site": known, **{f"other{i}": rng.dirichlet(np.full(4, 0.3), 12) for i in range(30)}}
    lines = ["MEME version 4", "", "ALPHABET= ACGT", ""]
    for name, matrix in matrices.items():
        lines += [f"MOTIF {name} {name}", f"letter-probability matrix: alength= 4 w= {len(matrix)}"]
        lines += [*(" ".join(f"{x:.6f}" for x in row) for row in _rows(matrix)), ""]
    path.write_text("\n".join(lines))


def _rows(matrix: npt.NDArray[np.float64]) -> Sequence[Sequence[float]]:
    return [list(map(float, row)) for row in matrix]


@dataclass(frozen=True)
class Trial:
    """A command that faults are injected into.

    Attributes
    ----------
    name : str
    typed : tuple of str
        The command line.
    before : tuple of tuple of str
        Command lines that make what lies in the folder before: another run under the prefix, or what is read.
    again : tuple of str
        What is typed besides where it is run again and has kept work.
    refusal : str
        What it says where all that it writes is whole already; empty of one that can be run again.
    """

    name: str
    typed: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()
    again: tuple[str, ...] = ()
    refusal: str = ""


Runner = Callable[[Sequence[str]], None]


def trials(given: Inputs, work: Path) -> dict[str, Trial]:
    """Give all commands that write files, by name; all they write lies in one folder, their cache too.

    Parameters
    ----------
    given : Inputs
        Read only.
    work : Path
        Where they write, and have the genome whose index they make.
    """
    out, model = work / "out", ("-m", f"{given / 'model'}")
    genome, regions = f"{work / 'genome.fa'}", ("-r", f"{given / 'regions.bed'}")
    explain = ("attribute", genome, *regions, *model, "-t", "a", "-b", "64", "-q", "-o")
    run, bg = f"{out / 'run'}", f"{out / 'bg'}"
    archive = f"{run}.h5"
    earlier = (*explain, run, "-p", "0", "--formats", "h5,bigwig,bedgraph,finemo")
    plain = (*explain, run, "--formats", "h5,bigwig")
    null = (
        ("shuffle", archive, "-o", f"{bg}.fa", "-q"),
        (*explain[:1], f"{bg}.fa", *model, "-t", "a", "-o", bg, "-q", "--formats", "h5"),
    )
    motifs = (
        "motifs",
        archive,
        "-o",
        run,
        "--background",
        f"{bg}.h5",
        "--database",
        f"{given / 'known.meme'}",
        "-q",
    )
    shards = tuple((*explain, f"{out / f'part{i}'}", "--shard", f"{i}/2") for i in (1, 2))
    probe = (
        "probe", genome, *regions, *model, "-t", "a", "-q", "-o", run,
        "--insert", SITE, "--number", "4", "--orders", "2",
    )  # fmt: skip
    found = (
        Trial("attribute", (*explain, run, "--formats", ALL_FORMATS), (earlier,), ("--resume",)),
        Trial(
            "merge",
            (
                "merge",
                f"{out / 'part1.h5'}",
                f"{out / 'part2.h5'}",
                "-o",
                run,
                "-q",
                "--formats",
                ALL_FORMATS,
            ),
            (*shards, earlier),
        ),
        Trial(
            "export",
            ("export", archive, "--formats", "bigwig,bedgraph,modisco,finemo,modisco-h5", "-q"),
            (plain,),
        ),
        Trial(
            "variants",
            ("variants", f"{given / 'calls.vcf'}", genome, *model, "-t", "a", "-q", "-o", run),
            (("variants", f"{given / 'calls.vcf'}", genome, *model, "-t", "b", "-q", "-o", run),),
            ("--resume",),
        ),
        Trial("shuffle", null[0], (plain,)),
        Trial("motifs", (*motifs, "--bigbed"), (plain, *null, (*motifs, "--fdr", "0.2"))),
        Trial(
            "report",
            ("report", archive, "-o", f"{out / 'page.html'}", "--windows", "1", "-q"),
            (plain, *null, motifs),
        ),
        Trial("plot", ("plot", archive, "chr1:1001-1100", "-o", f"{out / 'site.svg'}", "-q"), (plain,)),
        Trial(
            "compare",
            ("compare", archive, f"{out / 'other.h5'}", "-o", f"{out / 'change'}", "-q"),
            (plain, (*explain, f"{out / 'other'}", "-p", "0", "--formats", "h5")),
        ),
        Trial(
            "browser", ("browser", run, "--genome", "dm3", "--url", "https://example.org/", "-q"), (plain,)
        ),
        Trial(
            "evaluate",
            (
                "evaluate",
                archive,
                "-o",
                f"{out / 'judged'}",
                "--motif",
                f"{given / 'known.meme'}",
                "-q",
                *model,
                "--windows",
                "2",
                "--no-mutagenesis",
            ),
            (plain,),
        ),
        Trial(
            "import",
            ("import", f"{given / 'keras.h5'}", "-o", f"{out / 'imported'}", "--force", "-q"),
            (("import", f"{given / 'keras.h5'}", "-o", f"{out / 'imported'}", "--name", "earlier", "-q"),),
        ),
        Trial(
            "pack",
            (
                "pack",
                f"{given / 'net.py'}:Net",
                "-o",
                f"{out / 'packed'}",
                "--window",
                str(WINDOW),
                "--force",
                "-q",
            ),
            (("pack", f"{given / 'model'}", "-o", f"{out / 'packed'}", "-q"),),
        ),
        Trial(
            "probe",
            (*probe, "--pair", SITE, "GATAAG", "--spacing", "0,5", "--delete", f"{given / 'hits.bed'}"),
            ((*probe, "--seed", "1"),),
            ("--resume",),
        ),
        Trial("init", ("init", genome, *regions, *model, "-t", "a", "-q", "-o", f"{out / 'flow'}")),
        Trial(
            "demo",
            ("demo", "-q", "-o", f"{out / 'demo'}"),
            (("demo", "-q", "-o", f"{work / 'tmp/earlier'}"),),  # which keeps the graph
            refusal="has a demo already",
        ),
        Trial("attribute, no cache", (*explain, run, "--formats", "h5"), (), ("--resume",)),
        Trial(
            "attribute --report",
            (
                *explain[:-4],
                "-b",
                "512",
                "-q",
                "-o",
                run,
                "--report",
                "--database",
                f"{given / 'known.meme'}",
            ),
            ((*explain, f"{out / 'first'}", "--formats", "h5"),),  # which keeps the graph
            ("--resume",),
        ),
    )
    return {trial.name: trial for trial in found}


def laid(work: Path, before: Path) -> None:
    """Lay what is there before a command into its folder, in place of what is in it."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(before, work, symlinks=True)


def contents(folder: Path) -> dict[str, bytes]:
    """All files beneath a folder, by their path in it."""
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
