"""The flow of imports: each stage imports along the flow and never back."""

import ast
from pathlib import Path

import pytest

from sparselrp_cli.cli.options import COMPOSITES, OVERLAPS
from sparselrp_cli.outputs.overlap import POLICIES
from sparselrp_cli.relevance.composites import PRESETS

PACKAGE = Path(__file__).parents[1] / "sparselrp_cli"
# What each stage may import of the package, besides itself, `errors` and the version.
ALLOWED = {
    "sequences": set(),
    "model": {"hdf5"},
    "relevance": {"model"},
    "outputs": {"hdf5"},
    "evaluation": {"outputs"},
    "motifs": {"outputs"},
    "report": {"outputs"},
    "companions.py": {"sequences", "relevance", "outputs", "pipeline", "results", "shuffled", "stopping"},
    "shuffled.py": {"sequences", "outputs"},
    "variants.py": {"sequences", "outputs", "pipeline", "results", "stopping"},
    "evaluating.py": {
        "sequences",
        "model",
        "relevance",
        "outputs",
        "evaluation",
        "members",
        "deeplift",
        "manifest",
    },
    "deeplift.py": {"model"},
    "members.py": {"sequences", "model", "relevance", "manifest", "composite_file"},
    "results.py": {"outputs", "manifest"},
    "merging.py": {"outputs", "manifest", "results", "sharding"},
    "pipeline.py": {
        "sequences",
        "model",
        "relevance",
        "outputs",
        "manifest",
        "members",
        "results",
        "sharding",
        "stopping",
    },
    "manifest.py": set(),
    "sharding.py": set(),
    "stopping.py": set(),
    "errors.py": set(),
    "hdf5.py": set(),
}
WITHOUT_TORCH = (
    "sequences",
    "outputs",
    "evaluation",
    "motifs",
    "report",
    "merging.py",
    "results.py",
    "sharding.py",
    "shuffled.py",
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


def files(stage: str) -> list[Path]:
    place = PACKAGE / stage
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


@pytest.mark.parametrize("stage", ALLOWED)
def test_a_stage_imports_along_the_flow(stage):
    own = stage.removesuffix(".py")
    for path in files(stage):
        for module in imports(path):
            parts = module.split(".")
            if parts[0] == "sparselrp_cli" and len(parts) > 1:
                assert parts[1] in ALLOWED[stage] | {own, "errors"}, f"{path} imports {module}"


@pytest.mark.parametrize("stage", WITHOUT_TORCH)
def test_tensors_dont_enter_a_stage_of_arrays(stage):
    for path in files(stage):
        assert not {m for m in imports(path) if m.split(".")[0] == "torch"}, path


def test_the_command_line_names_what_there_is():
    assert tuple(PRESETS) == COMPOSITES
    assert set(OVERLAPS) == set(POLICIES)
