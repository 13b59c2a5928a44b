"""Every benchmark loads, says what it does, and belongs to an experiment that lists what it depends on."""

import ast
import importlib
import pkgutil
import subprocess
from graphlib import TopologicalSorter
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

import benchmarks
from benchmarks.evidence import __main__ as by_name
from benchmarks.experiments import BY_NAME, EXPERIMENTS, Experiment
from benchmarks.history import ROOT

MODULES = sorted(module.name for module in pkgutil.walk_packages(benchmarks.__path__, "benchmarks."))
# What only some have installed, and what the command itself needs only for a part of its work.
PEERS = {"zennit", "captum", "tangermeme", "torchvision", "modiscolite", "finemo"}
# What notes and keeps figures doesn't change them.
BOOKKEEPING = {f"benchmarks.{name}" for name in ("experiments", "history", "options", "record")}
# Scripts that measure nothing.
OF_THE_PAGE = {
    *(f"benchmarks.evidence.{name}" for name in ("__main__", "page", "plot")), "benchmarks.speed.table"
}  # fmt: skip


def path_of(module: str) -> Path:
    base = ROOT / module.replace(".", "/")
    return base / "__init__.py" if base.is_dir() else base.with_suffix(".py")


def tree(module: str) -> ast.Module:
    return ast.parse(path_of(module).read_text())


def names(nodes: list[ast.stmt]) -> set[str]:
    """Modules that statements import, and what may be modules."""
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def imported(module: str) -> set[str]:
    """All that a module imports, in functions too."""
    return names([node for node in ast.walk(tree(module)) if isinstance(node, ast.stmt)])


def reached(script: str) -> set[str]:
    """The benchmarks' modules that a script runs, itself among them."""
    found, todo = {script}, [script]
    while todo:
        new = (imported(todo.pop()) & set(MODULES)) - found - BOOKKEEPING
        found |= new
        todo += new
    return found


SCRIPTS = [
    name
    for name in MODULES
    if any(isinstance(node, ast.FunctionDef) and node.name == "main" for node in tree(name).body)
]


@pytest.mark.parametrize("name", MODULES)
def test_every_module_loads(name):
    importlib.import_module(name)


@pytest.mark.parametrize("name", SCRIPTS)
def test_every_script_says_what_it_does(name, capsys):
    script = importlib.import_module(name)
    with pytest.raises(SystemExit) as ended:
        script.main(["--help"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert script.__doc__.strip() in said
    for option in script.options()._actions:
        assert option.help == "==SUPPRESS==" or all(text in said for text in option.option_strings)


@pytest.mark.parametrize("name", MODULES)
def test_loading_a_benchmark_needs_no_peer(name):
    assert not {module.split(".")[0] for module in names(tree(name).body)} & PEERS


def test_benchmarks_import_one_another_in_no_circle():
    TopologicalSorter({name: imported(name) & set(MODULES) for name in MODULES}).prepare()


def test_every_script_that_measures_is_an_experiment():
    assert {f"benchmarks.{e.module}" for e in EXPERIMENTS} == set(SCRIPTS) - OF_THE_PAGE
    assert len(BY_NAME) == len(EXPERIMENTS)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_an_experiment_lists_all_that_its_script_imports(experiment: Experiment):
    modules = reached(f"benchmarks.{experiment.module}")
    scripts = {str(path_of(name).relative_to(ROOT)) for name in modules}
    rooms = {
        name.split(".")[1]
        for module in modules
        for name in imported(module)
        if name.startswith("sparselrp_cli.") and (ROOT / "sparselrp_cli" / name.split(".")[1]).is_dir()
    }
    assert scripts <= {experiment.script, *experiment.files}
    assert rooms <= set(experiment.rooms)


@pytest.mark.parametrize("experiment", EXPERIMENTS, ids=lambda e: e.name)
def test_what_an_experiment_depends_on_exists(experiment: Experiment):
    for paths in experiment.depends_on.values():
        for path in paths:
            assert (ROOT / path).exists(), path


def test_without_a_name_the_experiments_are_listed(capsys):
    by_name.main([])
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(BY_NAME)


def test_an_experiment_by_its_name_keeps_its_figures_and_refreshes_the_page(monkeypatch):
    done = []
    monkeypatch.setattr(
        subprocess, "run", lambda command, **_: done.append(command) or SimpleNamespace(returncode=0)
    )
    monkeypatch.setattr(by_name.page, "main", lambda arguments: done.append(["page", *arguments]))
    by_name.main(["remedies", "--out", "elsewhere"])
    assert done[0][1:] == [
        "-m", "benchmarks.evidence.handover", "--save", "--remedies", "--out", "elsewhere",
    ]  # fmt: skip
    assert done[1:] == [["page"]]


def test_an_experiment_that_fails_leaves_the_page_as_it_is(monkeypatch):
    monkeypatch.setattr(subprocess, "run", lambda command, **_: SimpleNamespace(returncode=3))
    monkeypatch.setattr(by_name.page, "main", lambda arguments: pytest.fail("the page was made"))
    with pytest.raises(SystemExit) as ended:
        by_name.main(["variants"])
    assert ended.value.code == 3


def test_an_unknown_name_is_refused_with_what_is_near():
    with pytest.raises(SystemExit, match=r"no experiment is named 'varants'; did you mean variants\?"):
        by_name.main(["varants"])


def missing(module: str) -> set[str]:
    """What a module takes from others of ours that isn't there, as `variants.AT_ONCE`."""
    own = vars(importlib.import_module(module))
    ours = {
        name: value
        for name, value in own.items()
        if isinstance(value, ModuleType) and value.__name__.startswith(("sparselrp", "benchmarks"))
    }
    return {
        f"{node.value.id}.{node.attr}"
        for node in ast.walk(tree(module))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
        if node.value.id in ours and not hasattr(ours[node.value.id], node.attr)
    }


@pytest.mark.parametrize("module", MODULES)
def test_what_a_benchmark_takes_from_our_modules_is_there(module):
    needs = {name.partition(".")[0] for name in imported(module)} & PEERS
    if lacking := [name for name in needs if find_spec(name) is None]:
        pytest.skip(f"{', '.join(sorted(lacking))} isn't installed")
    assert missing(module) == set()
