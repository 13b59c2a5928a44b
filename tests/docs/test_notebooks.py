"""The notebooks of docs/, run cell by cell in one namespace as Jupyter does."""

import ast
import json
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from helpers.commands import run_here

from sparselrp_cli.cli import following
from sparselrp_cli.cli.main import run

FOLDER = Path(__file__).parents[2] / "docs" / "notebooks"
NOTEBOOKS = sorted(path.name for path in FOLDER.glob("*.ipynb"))

# TF-MoDISco's own.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def notebook(name: str) -> dict[str, Any]:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def code_cells(name: str) -> list[str]:
    return ["".join(cell["source"]) for cell in notebook(name)["cells"] if cell["cell_type"] == "code"]


def words_of(command: str) -> list[str]:
    """The words of a command; a report draws motifs and no windows here, which takes less time."""
    _, *words = shlex.split(command)
    return [*words, "--windows", "0"] if words[0] == "report" else words


def followed(name: str, folder: Path) -> dict[str, Any]:
    """Run the cells in a folder; lines that begin with ! are commands. Gives what they left."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("SPARSELRP_CACHE_DIR", str(folder / "cache"))
        # A process of its own would compile TF-MoDISco's loops once more.
        patch.setattr(following, "run_command", run_here)
        for number, source in enumerate(code_cells(name), 1):
            if source.startswith("!sparselrp "):
                assert run(words_of(source)) == 0, source
            else:
                exec(compile(source, f"{name}, code cell {number}", "exec"), namespace)  # noqa: S102 - our own
    return namespace


@pytest.fixture(scope="module")
def own_network(tmp_path_factory):
    import torch
    from matplotlib import pyplot

    folder = tmp_path_factory.mktemp("own-network")
    with torch.random.fork_rng(devices=[]):
        yield folder, followed("own-network.ipynb", folder)
    pyplot.close("all")


@pytest.fixture(scope="module")
def peaks_to_motifs(tmp_path_factory):
    from matplotlib import pyplot

    folder = tmp_path_factory.mktemp("peaks-to-motifs")
    yield folder, followed("peaks-to-motifs.ipynb", folder)
    pyplot.close("all")


@pytest.mark.slow
def test_the_network_of_the_notebook_learns_the_motif_and_its_map_shows_it(own_network):
    folder, left = own_network
    assert left["accuracy"] > 0.9
    assert left["share"] > 0.5, "of the positive relevance, in 8 % of the bases"
    assert (folder / "own-network" / "graph.json").is_file()
    assert (folder / "own-network.npz").is_file()


@pytest.mark.slow
def test_the_books_of_the_notebook_close(own_network):
    left = own_network[1]
    assert float(left["a"].conservation_error.max()) < 1e-3


@pytest.mark.slow
def test_the_sites_of_the_notebook_are_found(peaks_to_motifs):
    folder, left = peaks_to_motifs
    assert sum(left["found"]) > 0.8 * len(left["sites"])
    assert (folder / "out" / "peaks.html").is_file()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_outputs(name):
    cells = notebook(name)["cells"]
    assert [cell["id"] for cell in cells if cell.get("outputs") or cell.get("execution_count")] == []
    assert len({cell["id"] for cell in cells}) == len(cells)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_begins_with_its_title_and_says_what_each_step_does(name):
    kinds = [cell["cell_type"] for cell in notebook(name)["cells"]]
    assert kinds[0] == "markdown"
    assert re.match(r"# \w", "".join(notebook(name)["cells"][0]["source"]))
    assert kinds.count("markdown") >= kinds.count("code")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_uses_public_names_alone(name):
    python = "\n".join(source for source in code_cells(name) if not source.startswith("!"))
    imported = {
        (node.module if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0]
        for node in ast.walk(ast.parse(python))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    assert imported <= {"sparselrp", "torch", "numpy", "pandas", "pathlib"}
    assert "sparselrp" in imported
