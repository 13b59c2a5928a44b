"""The page on Python, as its reader follows it."""

import ast
import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from tutorials.stand_ins import write_genome

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
PEERS = {"captum", "tangermeme", "autolrp"}
"""Packages that the page compares with; their blocks run where they are installed."""


def blocks() -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)


def imported(code: str) -> set[str]:
    """The packages that a block imports."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            found |= {name.name.partition(".")[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the genome and the regions that the page names."""
    from matplotlib import pyplot

    write_genome(tmp_path / "genome.fa", 3, 400)
    (tmp_path / "peaks.bed").write_text("chr1\t150\t250\n")
    monkeypatch.chdir(tmp_path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield tmp_path
    pyplot.close("all")


@pytest.mark.filterwarnings("ignore::UserWarning:captum", "ignore:Setting forward:UserWarning")
def test_every_block_runs(folder):
    namespace: dict[str, object] = {}
    ours = 0
    for code in blocks():
        if all(find_spec(name) for name in PEERS & imported(code)):
            exec(compile(code, str(PAGE), "exec"), namespace)  # noqa: S102 - it is our own page
            ours += not PEERS & imported(code)
    assert ours == 7
    assert sorted(p.name for p in (folder / "out").glob("peaks.*"))
    assert len(namespace["seqlets"].columns) == 8


def test_the_page_is_short():
    assert len(PAGE.read_text(encoding="utf-8").split()) <= 600


def test_the_page_compares_with_each_peer():
    assert set.union(*(PEERS & imported(code) for code in blocks())) == PEERS
