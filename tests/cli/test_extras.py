"""What needs a package of an extra says which extra brings it, in one line and before anything slow."""

import gzip
import sys
import tomllib
from pathlib import Path

import pytest
from helpers.commands import command, error_line, left_behind
from helpers.tiny_net import MODEL
from motifs.planted import planted_archive

ROOT = Path(__file__).parents[2]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
TOKENIZER = '{"added_tokens": [], "model": {"type": "BPE", "vocab": {"A": 0}, "merges": []}}'


def find_motifs(folder: Path) -> tuple[object, ...]:
    archive, _ = planted_archive(folder / "a.h5", n=5)
    return ("motifs", archive, "-o", folder / "a")


def name_motifs(folder: Path) -> tuple[object, ...]:
    return (*report(folder), "--database", "jaspar2026:insects")


def report(folder: Path) -> tuple[object, ...]:
    (folder / "x.fa").write_text(f">x\n{'ACGT' * 10}\n")
    return ("attribute", folder / "x.fa", "-m", MODEL, "-t", "0", "-o", folder / "x", "--report")


def compare(folder: Path) -> tuple[object, ...]:
    *words, _ = report(folder)
    assert command(*words) == 0
    return ("evaluate", folder / "x.h5", "-m", MODEL, "--baseline", "deeplift-shap", "--no-mutagenesis")


def read_tokens(folder: Path) -> tuple[object, ...]:
    (folder / "tokenizer.json").write_text(TOKENIZER)
    return ("inspect", MODEL, "--tokens", folder / "tokenizer.json")


def read_graph(folder: Path) -> tuple[object, ...]:
    (folder / "net.pb").write_bytes(b"\x0a")
    return ("import", folder / "net.pb", "-o", folder / "net")


def read_calls(folder: Path) -> tuple[object, ...]:
    calls, genome = folder / "calls.bcf", folder / "genome.fa"
    genome.write_text(f">x\n{'ACGT' * 10}\n")
    calls.write_bytes(gzip.compress(b"BCF\2\2" + bytes(30)))
    return ("variants", calls, genome, "-m", MODEL, "-t", "0", "-o", folder / "x")


CASES = {
    "motifs: TF-MoDISco": ("modiscolite", "motifs", find_motifs),
    "motifs: memelite": ("memelite", "motifs", find_motifs),
    "motifs: report": ("modiscolite", "motifs", report),
    "jaspar": ("pyjaspar", "jaspar", name_motifs),
    "baselines": ("tangermeme", "baselines", compare),
    "tokens": ("tokenizers", "tokens", read_tokens),
    "vcf": ("pysam", "vcf", read_calls),
    "import": ("google.protobuf", "import", read_graph),
}


@pytest.mark.parametrize(("module", "extra", "case"), CASES.values(), ids=CASES)
def test_what_is_missing_is_said_with_the_extra_that_brings_it(
    module, extra, case, tmp_path, monkeypatch, capsys
):
    words = case(tmp_path)
    before = left_behind(tmp_path)
    monkeypatch.setitem(sys.modules, module, None)
    assert extra in EXTRAS
    assert command(*words) == 1
    assert f"pip install 'sparselrp[{extra}]'" in error_line(capsys)
    assert left_behind(tmp_path) == before
