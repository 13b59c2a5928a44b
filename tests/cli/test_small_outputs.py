"""Stabilisers that take much of a score are said: a stabiliser is an absolute number."""

import pytest
import torch
from helpers.commands import attribute, table
from helpers.tiny_net import TinyNet

FASTA = ">a\n" + "ACGTTGCATA" * 4 + "\n"


__all__ = ["TinyNet"]


class SmallNet(TinyNet):
    """Its hidden numbers, and so its outputs, are a ten millionth of the usual."""

    def __init__(self) -> None:
        super().__init__()
        with torch.no_grad():
            for parameter in self.scan.parameters():
                parameter *= 1e-7
            self.mix.bias.zero_()
            self.head.bias.zero_()


@pytest.fixture
def explained(tmp_path, monkeypatch, capsys):
    """Explain with one of the networks; gives the row of the table and what was said."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.fa").write_text(FASTA)
    (tmp_path / "small.toml").write_text('[[rule]]\nrule = "epsilon"\nepsilon = 1e-15\n')

    def run(network: str, *arguments: str):
        model = f"{__file__}:{network}"
        assert attribute("a.fa", "-m", model, "-t", "0", "-o", "x", "--restart", *arguments) == 0
        (row,) = table(tmp_path / "x.windows.tsv")
        return row, capsys.readouterr().err

    return run


def test_a_stabiliser_that_takes_much_is_said_and_shown(explained):
    row, said = explained("SmallNet", "--composite", "epsilon", "-p", "0")
    share = abs(float(row["stabilised"]) / float(row["score"]))
    assert share > 0.5
    assert f"warning: 0: stabilisers took {100 * share:.2g} % of the scores, which nothing explains" in said
    assert float(row["absorbed"]) == pytest.approx(float(row["stabilised"]), rel=0.5)


def test_a_smaller_epsilon_is_the_way_out(explained):
    row, said = explained("SmallNet", "--composite", "small.toml", "-p", "0")
    assert "stabilisers took" not in said
    assert abs(float(row["stabilised"])) < 1e-6 * abs(float(row["score"]))


def test_outputs_of_the_usual_size_warn_of_nothing(explained):
    for composite in ("epsilon", "epsilon-gamma", "zero"):
        row, said = explained("TinyNet", "--composite", composite)
        assert "warning" not in said
        assert abs(float(row["stabilised"])) < 1e-3 * abs(float(row["score"]))
