"""`-o out/x` where there is no `out/`: every command that takes a prefix makes it."""

from pathlib import Path

import pytest
from helpers.commands import attribute, command, error_line

NET = """
from torch import nn

class Net(nn.Module):
    window = 20

    def forward(self, x):
        return x[:, 0].sum(1, keepdim=True)
"""
MODEL = ["-m", "net.py:Net", "-q"]


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(NET)
    Path("genome.fa").write_text(">chr1\n" + "ACGTTGCA" * 20 + "\n")
    Path("peaks.bed").write_text("chr1\t30\t50\nchr1\t90\t110\n")
    Path("calls.vcf").write_text("##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\nchr1\t41\trs1\tA\tC\n")
    return tmp_path


COMMANDS = {
    "attribute": (["genome.fa", "-r", "peaks.bed", *MODEL], "x.h5"),
    "merge": (["run.1.h5", "run.2.h5", "-q"], "x.h5"),
    "export": (["run.h5", "--formats", "bedgraph", "-q"], "x.bedgraph.gz"),
    "variants": (["calls.vcf", "genome.fa", *MODEL], "x.variants.tsv"),
    "probe": (["genome.fa", "-r", "peaks.bed", *MODEL, "--insert", "AC"], "x.probe.effects.tsv"),
    "evaluate": (["run.h5", *MODEL], "x.evaluation.tsv"),
    "compare": (["run.h5", "other.h5", "-q"], "x.compare.tsv"),
}


@pytest.mark.usefixtures("unrendered")
@pytest.mark.parametrize(("name", "words", "made"), [(n, *c) for n, c in COMMANDS.items()], ids=COMMANDS)
def test_a_folder_that_isnt_there_is_made(here, name, words, made):
    assert attribute("genome.fa", "-r", "peaks.bed", *MODEL, "-o", "run") == 0
    if name == "compare":
        assert attribute("genome.fa", "-r", "peaks.bed", *MODEL, "-p", "0", "-o", "other") == 0
    if name == "merge":
        for shard in ("1", "2"):
            shards = ["--shard", f"{shard}/2", "-b", "1", "-o", f"run.{shard}"]
            assert attribute("genome.fa", "-r", "peaks.bed", *MODEL, *shards) == 0
    assert command(name, *words, "-o", "results/of/x") == 0
    assert Path("results/of", made).is_file()


def test_a_run_that_fails_leaves_no_empty_folder(here, capsys):
    assert command("attribute", "genome.fa", "-m", "net.py:None", "-o", "results/of/x") == 1
    assert "has no function or class 'None'" in error_line(capsys)
    assert not Path("results").exists()
