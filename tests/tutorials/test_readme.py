"""The README, as its reader follows it with a network of their own."""

import re
import runpy
from pathlib import Path

import pytest
import torch
from helpers.commands import table

from tutorials.pages import Command, TutorialPage
from tutorials.stand_ins import matched_filter, write_genome, write_peaks

# TF-MoDISco's own.
pytestmark = [pytest.mark.filterwarnings("ignore::DeprecationWarning"), pytest.mark.slow]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w+)\n(.*?)```", README, re.DOTALL)
OF_THE_NETWORK = "".join(code for language, code in BLOCKS if language == "sh" and "mynet.py" in code)


def page() -> TutorialPage:
    """The commands for a network, which is that of the tutorial here."""
    net = TutorialPage.read("own-model.md").files["net.py"] + "\n\ndef build():\n    return Net()\n"
    return TutorialPage(
        README, {"mynet.py": net}, tuple(Command.read(line) for line in OF_THE_NETWORK.splitlines())
    )


def write_weights(folder: Path) -> torch.nn.Module:
    """Weights of the network whose first task counts the motif."""
    net = runpy.run_path(str(folder / "mynet.py"))["build"]()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.zero_()
        pattern, bias = matched_filter()
        net.scan.weight[0], net.scan.bias[0] = torch.from_numpy(pattern), bias
        net.mix.weight[0, 0, 2] = 1.0
        net.head.weight[0, 0] = 10.0
    torch.save(net.state_dict(), folder / "weights.pt")
    return net.eval()


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """The folder after the commands, those that failed, and the network."""
    folder = tmp_path_factory.mktemp("readme")
    page().write_files(folder)
    write_peaks(folder / "peaks.bed", write_genome(folder / "genome.fa", 40, 300))
    net = write_weights(folder)
    return folder, page().follow(folder), net


def test_two_commands_lead_from_a_network_to_a_report(followed):
    folder, failed, _ = followed
    assert [command.words[1] for command in page().commands] == ["inspect", "attribute"]
    assert failed == []
    assert (folder / "out" / "run.report.html").is_file()
    assert len(table(folder / "out" / "run.windows.tsv")) == 40


def test_the_lines_of_python_run(followed, monkeypatch):
    from matplotlib import pyplot

    (code,) = (code for language, code in BLOCKS if language == "python")
    x = torch.nn.functional.one_hot(torch.randint(4, (2, 200)), 4).transpose(1, 2).float()
    namespace = {"net": followed[2], "x": x}
    exec(compile(code, "README.md", "exec"), namespace)  # noqa: S102 - our own
    assert namespace["a"].contributions.shape == (2, 200)
    pyplot.close("all")
    assert len(code.strip().splitlines()) <= 5


def test_the_table_of_commands_has_them_all():
    from sparselrp_cli.cli.main import COMMANDS

    rows = re.findall(r"^\| (`.+?) \|", README, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(COMMANDS)
