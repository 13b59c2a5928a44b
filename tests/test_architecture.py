"""The flow of imports: each room imports along the flow and never back."""

import ast
from pathlib import Path

import pytest

from sparselrp_cli.cli import evaluate as evaluate_command
from sparselrp_cli.evaluation import methods
from sparselrp_cli.outputs.choices import OVERLAPS
from sparselrp_cli.outputs.overlap import POLICIES
from sparselrp_cli.relevance.choices import COMPOSITE, COMPOSITES, DTYPES, REDUCED
from sparselrp_cli.relevance.composites import PRESETS

PACKAGE = Path(__file__).parents[1] / "sparselrp_cli"
# What each room may import of the package, besides itself, `errors` and the version: along the flow.
ALLOWED = {
    "errors": set(),
    "files": set(),
    "sequences": {"files"},
    "model": {"files"},
    "graph": {"model"},
    "relevance": {"files", "model", "graph"},
    "outputs": {"files", "sequences"},
    "settings": {"files", "sequences", "relevance", "outputs"},
    "motifs": {"files", "sequences", "outputs", "settings"},
    "report": {"files", "sequences", "outputs", "settings"},
    "runs": {"files", "sequences", "model", "graph", "relevance", "outputs", "settings", "motifs"},
    "evaluation": {
        "files",
        "sequences",
        "model",
        "graph",
        "relevance",
        "outputs",
        "settings",
        "motifs",
        "runs",
    },
    "probing": {
        "files",
        "sequences",
        "model",
        "graph",
        "relevance",
        "outputs",
        "settings",
        "motifs",
        "report",
        "runs",
        "evaluation",
    },
    "comparison": {"files", "sequences", "outputs", "settings", "report", "evaluation"},
    "face": {
        "files",
        "sequences",
        "model",
        "graph",
        "relevance",
        "outputs",
        "settings",
        "motifs",
        "report",
        "runs",
        "probing",
    },
    "cli": {
        "files",
        "sequences",
        "model",
        "graph",
        "relevance",
        "outputs",
        "settings",
        "motifs",
        "report",
        "runs",
        "evaluation",
        "probing",
        "comparison",
        "face",
    },
    "__main__": {"cli"},
    "__init__": set(),
}
WITHOUT_TORCH = (
    "files",
    "sequences",
    "outputs",
    "motifs",
    "settings",
    "report",
    "comparison",
    "runs/merge.py",
    "runs/origin.py",
    "runs/run_files.py",
    "runs/shards.py",
)


def imports(path: Path) -> set[str]:
    """Modules that a file imports anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def files(room: str) -> list[Path]:
    if room.endswith(".py"):
        return [PACKAGE / room]
    place = PACKAGE / room
    return sorted(place.rglob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def test_every_module_has_a_room():
    rooms = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in PACKAGE.rglob("*.py")}
    assert rooms == set(ALLOWED)


@pytest.mark.parametrize("room", ALLOWED)
def test_a_room_imports_along_the_flow(room):
    for path in files(room):
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "sparselrp_cli" and len(parts) > 1:
                assert parts[1] in ALLOWED[room] | {room, "errors"}, f"{path} imports {module}"


def test_the_flow_has_no_circle():
    done: set[str] = set()
    while left := set(ALLOWED) - done:
        ready = {room for room in left if ALLOWED[room] <= done}
        assert ready, f"{sorted(left)} import each other"
        done |= ready


@pytest.mark.parametrize("room", WITHOUT_TORCH)
def test_tensors_dont_enter_a_room_of_arrays(room):
    for path in files(room):
        assert not {m for m in imports(path) if m.split(".")[0] == "torch"}, path


def test_the_command_line_names_what_there_is():
    assert tuple(PRESETS) == COMPOSITES
    assert COMPOSITE in PRESETS
    assert set(REDUCED) <= set(DTYPES)
    assert set(OVERLAPS) == set(POLICIES)
    assert set(evaluate_command.BASELINES) == set(methods.BASELINES)
