"""The names of `import sparselrp`, their annotations, defaults and documentation."""

import inspect
import subprocess
import sys
import typing
from pathlib import Path

import click
import matplotlib.axes
import pytest

import sparselrp
from sparselrp_cli.cli.probe import probe
from sparselrp_cli.settings.run import RunSettings, run_settings

NAMES = [
    "PLRP", "Attribution", "CompositeError", "ConservationError", "InputError", "Inspection", "LoadedModel",
    "Locus", "ModelError", "OutputError", "Probe", "Run", "SettingError", "SparselrpError", "TargetError",
    "UnsupportedOperationError", "__version__", "attribute", "inspect", "load_model", "open", "pack", "probe",
]  # fmt: skip
CALLED = {
    "PLRP": sparselrp.PLRP.__init__,
    "PLRP.attribute": sparselrp.PLRP.attribute,
    "attribute": sparselrp.attribute,
    "open": sparselrp.open,
    "load_model": sparselrp.load_model,
    "inspect": sparselrp.inspect,
    "pack": sparselrp.pack,
    "probe": sparselrp.probe,
    **{
        f"{kind.__name__}.{name}": function
        for kind in (
            sparselrp.Attribution,
            sparselrp.Run,
            sparselrp.Locus,
            sparselrp.Inspection,
            sparselrp.Probe,
        )
        for name, function in vars(kind).items()
        if inspect.isfunction(function) and not name.startswith("_")
    },
}
OWN = {"target", "prefix", "resume", "weights", "trust", "window", "layout", "alphabet", "dtype"}
"""Keywords of `attribute` that aren't settings of a run, or have another default."""


def test_the_names_are_those_that_are_promised():
    assert sorted(sparselrp.__all__) == dir(sparselrp) == sorted(NAMES)
    assert all(getattr(sparselrp, name) is not None for name in NAMES)


def test_another_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="module 'sparselrp' has no attribute 'plrp'"):
        _ = sparselrp.plrp


def test_nothing_heavy_is_imported_before_a_name_is_used():
    code = "import sparselrp, sys; print(sorted({'torch', 'numpy', 'pandas', 'numba'} & set(sys.modules)))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_type_checkers_see_the_package():
    assert (Path(sparselrp.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("name", CALLED)
def test_every_parameter_and_result_is_annotated(name):
    function = CALLED[name]
    hints = typing.get_type_hints(function, localns={"Axes": matplotlib.axes.Axes})
    parameters = [p for p in inspect.signature(function).parameters if p != "self"]
    assert {*parameters, "return"} == set(hints)


@pytest.mark.parametrize("name", CALLED)
def test_every_parameter_is_documented(name):
    text = sparselrp.PLRP.__doc__ if name == "PLRP" else CALLED[name].__doc__
    parameters = [p for p in inspect.signature(CALLED[name]).parameters if p != "self"]
    shared = {each.name for each, _ in run_settings()} if name in ("attribute", "probe") else set()
    assert text
    assert [p for p in parameters if p not in shared and p not in text] == []


@pytest.mark.parametrize("name", ["PLRP", "attribute", "probe"])
def test_settings_have_the_names_and_defaults_of_the_command(name):
    given = inspect.signature(CALLED[name]).parameters
    settings = {each.name: getattr(RunSettings(), each.name) for each, _ in run_settings()}
    here = {n: p.default for n, p in given.items() if n in settings and n not in OWN}
    assert here
    assert here == {n: settings[n] for n in here}


def test_a_run_from_python_has_every_option_of_the_command():
    given = set(inspect.signature(sparselrp.attribute).parameters)
    options = {each.name for each, declared in run_settings() if declared.flags and declared.commands}
    # One process makes the whole run; `target` is that of `targets`.
    assert options - {"shard", "targets"} <= given
    assert given - options == {"sequences", "regions", "model", *OWN - {"dtype"}}


def test_a_probe_from_python_has_every_option_of_the_command_with_its_default():
    given = {name: p.default for name, p in inspect.signature(sparselrp.probe).parameters.items()}
    options = {
        max(each.opts, key=len).lstrip("-").replace("-", "_"): each
        for each in probe.params
        if isinstance(each, click.Option) and max(each.opts, key=len) not in ("--quiet", "--verbose")
    }
    # Details of a model stand in what load_model gives; `target` takes names, too.
    other = {
        "targets",
        "input",
        "tokens",
        "model_class",
        "trust_model",
        "output",
        "model",
        "help",
        "examples",
    }
    assert set(options) - other <= set(given)
    assert set(given) - set(options) == {"sequences", "prefix", "trust"}
    own = {"at", "backgrounds", "number", "orders", "seed", "figures"}
    assert {name: given[name] for name in own} == {name: options[name].default for name in own}
    spacing = options["spacing"]
    assert given["spacing"] == spacing.type.convert(spacing.default, spacing, None)


def test_errors_have_one_root():
    errors = [getattr(sparselrp, name) for name in NAMES if name.endswith("Error")]
    assert all(issubclass(error, sparselrp.SparselrpError) for error in errors)
