"""Broken input of every kind, given to what reads it: what comes is a result or one clear line."""

import gzip
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from random import Random

import numpy as np
import pyfaidx
import torch
from Bio.bgzf import BgzfWriter
from helpers.manifests import manifest
from safetensors.torch import save_file

from hostile.mutations import mutate, mutate_json
from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.loaded import load_model as load_any_model
from sparselrp_cli.graph.packed.writing import Packing, write_packed
from sparselrp_cli.model.architectures import ARCHITECTURES
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import load_model
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.packed import digest_of
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.motifs.formats import read_motif_file
from sparselrp_cli.outputs.archive import ArchiveReader, ArchiveRows, ArchiveWriter
from sparselrp_cli.outputs.archive.rows import ACCOUNTING
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.tables import read_skipped
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.merge import merge
from sparselrp_cli.runs.recording import read_state
from sparselrp_cli.sequences.source import open_source
from sparselrp_cli.sequences.windows import Window
from sparselrp_cli.settings.kinds import Shard
from sparselrp_cli.settings.manifest import Outcome

WINDOW = 24
SPECS = [
    (
        "pooled-cnn",
        {"window": WINDOW, "channels": [3], "widths": [5], "pools": [4], "dense": [3], "tasks": 2},
    ),
    ("bpnet", {"filters": 3, "layers": 2, "stem_width": 5, "profile_width": 5, "trimming": 4}),
]
MANIFEST = manifest(
    outcome=Outcome(6, 0, 0, {"t": {}}, 0.0), shard=Shard(1, 1), targets=("t",), overlap="mean"
).to_json()
MOTIFS = {
    "known.meme": "MEME version 4\n\nALPHABET= ACGT\n\nMOTIF M1 a\nletter-probability matrix: alength= 4 w= 2"
    " nsites= 9 E= 0\n0.5 0.5 0 0\n0 0 1 0\nURL x\n\nMOTIF M2\nletter-probability matrix:\n1 0 0 0\n",
    "known.jaspar": ">M1\ta\nA [ 1 2 ]\nC [ 3 4 ]\nG [ 5 6 ]\nT [ 7 8 ]\n>M2\n1 2 3\n1 2 3\n1 2 3\n1 2 3\n",
    "known.transfac": "AC M1\nXX\nID a\nXX\nP0 A C G T\n01 1 2 3 4 N\n02 4 3 2 1 N\nXX\nCC x\n//\n",
    "known.homer": ">AC\tM1/a/Homer\t6.5\t-9\t0\n0.5\t0.5\t0\t0\n0\t1\t0\t0\n>M2\n1 2 3 4\n",
    "known.cisbp": "TF Name\ta\nMotif\tM1\nPos\tA\tC\tG\tT\n1\t0.5\t0.5\t0\t0\n2\t0\t0\t0\t1\n\n",
}


def make_seeds(folder: Path) -> None:
    """Write small valid files of every kind."""
    rng = np.random.default_rng(0)
    letters = ["".join(rng.choice(list("ACGTNacgtR"), n)) for n in (130, 40, 7)]
    fasta = "".join(f">chr{i} note\n{s[:60]}\n" + (f"{s[60:120]}\n{s[120:]}\n" if len(s) > 60 else "")
                    for i, s in enumerate(letters, 1))  # fmt: skip
    (folder / "plain.fa").write_text(fasta)
    (folder / "packed.fa.gz").write_bytes(gzip.compress(fasta.encode(), mtime=0))
    with BgzfWriter(str(folder / "block.fa.gz")) as stream:
        stream.write(fasta.encode())
    pyfaidx.Faidx(str(folder / "plain.fa"))
    bed = "track name=x\n#c\nchr1\t10\t30\ta\t0\t+\nchr2\t5\t9\nchr1\t0\t100\tp\t0\t-\t1\t2\t3\t50\n"
    bed += "chr9\t1\t2\n"
    (folder / "regions.bed").write_text(bed)
    (folder / "regions.bed.gz").write_bytes(gzip.compress(bed.encode(), mtime=0))
    (folder / "variants.vcf").write_text(
        "##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"
        f"chr1\t20\trs1\t{letters[0][19]}\tA,CG\t.\t.\tX\nchr2\t5\t.\tAC\tA\t9\tPASS\t.\n"
    )
    for name, motifs in MOTIFS.items():
        (folder / name).write_text(motifs)
    for name, arguments in SPECS:
        model = folder / name
        model.mkdir()
        torch.manual_seed(0)
        save_file(ARCHITECTURES[name](**arguments).state_dict(), model / "weights.safetensors")
        document = {
            "schema_version": 1, "name": "m", "architecture": {"name": name, "arguments": arguments},
            "weights": "weights.safetensors", "window": WINDOW, "alphabet": "ACGT", "layout": "NCL",
            "outputs": [{"name": "output", "tasks": ["a", "b"], "axes": "NT"}],
        }  # fmt: skip
        (model / "model.json").write_text(json.dumps(document))
    _write_packed(folder / "packed")
    _write_archive(folder / "run.h5")
    (folder / "run.skipped.tsv").write_text("chrom\tstart\tend\tname\tstrand\treason\n")
    with Journal(folder / "run.partial") as journal:
        journal.append(MANIFEST)
        state = {"n_rows": 0, "names": [], "new_chroms": [], "chunks": {}, "next_batch": 1, "rows_of_next": 0,
                 "skipped": [], "ambiguous": 0, "agreement": None, "complete": False}  # fmt: skip
        journal.append(state)
        journal.append(state, [b"more"])


def _write_packed(folder: Path) -> None:
    x = torch.nn.functional.one_hot(torch.arange(WINDOW)[None] % 4, 4).mT.float()
    graph = capture(ARCHITECTURES["bpnet"](**SPECS[1][1]).eval(), x)
    names = [OutputNames(output.name) for output in graph.outputs]
    write_packed(Packing("m", WINDOW, InputLayout(), names, graph), folder)


def _write_archive(path: Path) -> None:
    rng = np.random.default_rng(0)
    windows = [Window("chr1", s, s + 20, f"w{s}", "+", i) for i, s in enumerate((-3, 0, 8, 8, 50, 95))]
    bases = rng.integers(0, 5, (6, 20))
    rows = ArchiveRows(
        windows, (bases[:, None] == np.arange(4)[:, None]).astype(np.uint8),
        rng.normal(size=(1, 6, 4, 20)).astype(np.float32),
        {name: rng.normal(size=(1, 6)) for name in ACCOUNTING}, np.zeros(6, np.int64),
    )  # fmt: skip
    with ArchiveWriter(path, window_length=20, target_names=["t"]) as writer:
        writer.append(rows)
        writer.finish({"chr1": 100, "chr2": 50}, MANIFEST)


def _read_windows(sequences: Path, regions: Path | None) -> None:
    with open_source(str(sequences), regions and str(regions), WINDOW) as source:
        source.count()
        for batch in source.batches(4):
            assert batch.one_hot.shape == (len(batch.windows), 4, WINDOW)


def _fasta(folder: Path, random: Random) -> None:
    name = random.choice(("plain.fa", "packed.fa.gz", "block.fa.gz"))
    _break(folder / name, random)
    _read_windows(folder / name, None)


def _genome(folder: Path, random: Random) -> None:
    name = random.choice(("plain.fa", "packed.fa.gz", "block.fa.gz"))
    (folder / "plain.fa.fai").unlink()
    _break(folder / name, random)
    _read_windows(folder / name, folder / "regions.bed")


def _index(folder: Path, random: Random) -> None:
    _break(folder / "plain.fa.fai", random)
    os.utime(folder / "plain.fa", (1, 1))
    _read_windows(folder / "plain.fa", folder / "regions.bed")


def _regions(folder: Path, random: Random) -> None:
    name = random.choice(("regions.bed", "regions.bed", "regions.bed.gz"))
    _break(folder / name, random)
    _read_windows(folder / "plain.fa", folder / name)


def _variants(folder: Path, random: Random) -> None:
    _break(folder / "variants.vcf", random)
    with open_source(str(folder / "plain.fa"), str(folder / "variants.vcf"), WINDOW, allele="alt") as source:
        source.count()
        for batch in source.batches(4):
            assert batch.one_hot.shape == (len(batch.windows), 4, WINDOW)


def _motifs(folder: Path, random: Random) -> None:
    name = random.choice(list(MOTIFS))
    _break(folder / name, random)
    for motif in read_motif_file(str(folder / name)).motifs:
        assert motif.name
        assert np.allclose(motif.frequencies.sum(1), 1)


def _model_json(folder: Path, random: Random) -> None:
    model = folder / random.choice(SPECS)[0]
    path = model / "model.json"
    if random.random() < 0.7:
        path.write_text(json.dumps(mutate_json(json.loads(path.read_text()), random)))
        for remember in _BREAKING:
            remember()
    else:
        _break(path, random)
    load_model(ModelRequest(str(model)))


def _safetensors(folder: Path, random: Random) -> None:
    model = folder / random.choice(SPECS)[0]
    _break(model / "weights.safetensors", random)
    load_model(ModelRequest(str(model)))


def _packed_graph(folder: Path, random: Random) -> None:
    path = folder / "packed" / "graph.json"
    if random.random() < 0.7:
        document = json.loads(path.read_text())
        place = random.choice((document, random.choice(document["nodes"])))
        key = random.choice(list(place))
        place[key] = mutate_json(place[key], random)
        path.write_text(json.dumps(document))
        for remember in _BREAKING:
            remember()
    else:
        _break(path, random)
    load_any_model(ModelRequest(str(folder / "packed")))


def _packed_weights(folder: Path, random: Random) -> None:
    weights, graph = folder / "packed" / "weights.safetensors", folder / "packed" / "graph.json"
    before = digest_of(weights)
    _break(weights, random)
    graph.write_text(graph.read_text().replace(before, digest_of(weights)))
    for remember in _BREAKING:
        remember()
    load_any_model(ModelRequest(str(folder / "packed")))


def _archive(folder: Path, random: Random) -> None:
    _break(folder / "run.h5", random)
    with ArchiveReader(folder / "run.h5") as reader:
        export_files(reader, folder / "out" / "again", ["bigwig", "bedgraph", "modisco", "finemo"], "mean")


def _shard(folder: Path, random: Random) -> None:
    _break(folder / random.choice(("run.h5", "run.skipped.tsv")), random)
    merge([folder / "run.h5"], folder / "out" / "merged", ["h5", "bedgraph"], "sum", ["merge"])


def _skipped(folder: Path, random: Random) -> None:
    _break(folder / "run.skipped.tsv", random)
    list(read_skipped(folder / "run.skipped.tsv"))


def _journal(folder: Path, random: Random) -> None:
    _break(folder / "run.partial", random)
    with Journal(folder / "run.partial") as journal:
        if not journal.empty:
            read_state(journal, 0)


KINDS: dict[str, Callable[[Path, Random], None]] = {
    "fasta": _fasta, "genome": _genome, "index": _index, "regions": _regions, "variants": _variants,
    "motifs": _motifs, "model.json": _model_json,
    "safetensors": _safetensors, "packed graph": _packed_graph, "packed weights": _packed_weights,
    "archive": _archive, "shard": _shard, "skipped": _skipped,
    "journal": _journal,
}  # fmt: skip
# What may be new or other beside the output: indices, and the journal, which cuts off what isn't whole.
OURS = (".fai", ".gzi", ".partial")


def run_one(kind: str, number: int, seeds: Path, folder: Path) -> str:
    """Break one input and read it; give what came of it.

    Raises
    ------
    AssertionError
        If what came isn't a result or one clear line, or if anything was written beside the output.
    """
    shutil.copytree(seeds, folder)
    (folder / "out").mkdir()
    random = Random(f"{kind} {number}")
    before: dict[str, bytes] = {}

    def remember() -> None:
        before.update(_tree(folder))

    try:
        _BREAKING.append(remember)
        KINDS[kind](folder, random)
        outcome = "read"
    except SparselrpError as error:
        message = str(error)
        assert message.isprintable(), f"not one clear line: {message!r}"
        assert 10 < len(message) < 3000
        outcome = type(error).__name__
    finally:
        _BREAKING.clear()
    after = _tree(folder)
    assert after == before, f"other files: {sorted(set(after.items()) ^ set(before.items()))[:3]}"
    assert all(p.name.startswith(("again", "merged")) for p in (folder / "out").iterdir())
    return outcome


_BREAKING: list[Callable[[], None]] = []


def _break(path: Path, random: Random) -> None:
    path.write_bytes(mutate(path.read_bytes(), random))
    for remember in _BREAKING:
        remember()


def _tree(folder: Path) -> dict[str, bytes]:
    """All files but our own, with their content."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.parent.name != "out" and not path.name.endswith(OURS)
    }
