"""The recipe and the image say what pyproject.toml says."""

import re
import runpy
import shlex
import tomllib
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

import sparselrp_cli

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, BUILD = PYPROJECT["project"], PYPROJECT["build-system"]["requires"]
EXTRAS = PROJECT["optional-dependencies"]
# Where conda's name isn't PyPI's in lower case.
CONDA_NAMES = {"matplotlib": "matplotlib-base", "torch": "pytorch"}
DOCKERFILE = ROOT / "packaging" / "Dockerfile"


@pytest.fixture(scope="module")
def recipe() -> dict[str, Any]:
    """The recipe as conda-build would see it."""
    jinja2 = pytest.importorskip("jinja2", reason="Jinja2 isn't installed")
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
    text = (ROOT / "packaging" / "bioconda" / "meta.yaml").read_text()
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(text)
    pin = lambda name, max_pin: f"{name} {max_pin}"  # noqa: E731
    return yaml.safe_load(template.render(PYTHON="python", pin_subpackage=pin))


def requirement(text: str) -> tuple[str, str]:
    """A requirement as conda's name and the versions, such as pytorch and >=2.11."""
    found = re.match(r"([\w.-]+)\s*(.*)", text)
    assert found
    name = found[1].lower()
    return CONDA_NAMES.get(name, name), ",".join(sorted(found[2].replace(" ", "").split(",")))


def instructions(name: str) -> list[list[str]]:
    """The words of each instruction of this name in the Dockerfile."""
    text = DOCKERFILE.read_text().replace("\\\n", " ")
    return [shlex.split(line)[1:] for line in text.splitlines() if line.startswith(f"{name} ")]


def test_the_recipe_needs_what_the_project_and_its_motifs_need(recipe):
    """Conda has no extras, and motifs are part of what the command is for."""
    needed = [*PROJECT["dependencies"], *EXTRAS["motifs"], "python" + PROJECT["requires-python"]]
    assert set(map(requirement, recipe["requirements"]["run"])) == set(map(requirement, needed))


def test_the_recipe_builds_with_what_the_project_builds_with(recipe):
    host = set(map(requirement, recipe["requirements"]["host"]))
    assert {requirement("python" + PROJECT["requires-python"]), *map(requirement, BUILD)} <= host


def test_what_the_recipe_imports_is_there(recipe):
    for module in recipe["test"]["imports"]:
        assert import_module(module).__name__ == module


@pytest.mark.parametrize("place", ["envs/sparselrp.yaml", "wrapper/environment.yaml"])
def test_the_workflow_asks_for_this_series(place):
    yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")
    needed = yaml.safe_load((ROOT / "workflow" / place).read_text())["dependencies"]
    series = ".".join(sparselrp_cli.__version__.split(".")[:2])
    assert f"sparselrp ={series}" in needed


def test_the_recipe_is_of_this_version_and_command(recipe):
    assert recipe["package"] == {"name": PROJECT["name"], "version": sparselrp_cli.__version__}
    scripts = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert recipe["build"]["entry_points"] == scripts
    assert recipe["build"]["noarch"] == "python"


def test_the_recipe_says_what_it_is_as_the_project_does(recipe):
    assert recipe["about"]["summary"] == PROJECT["description"]
    assert recipe["about"]["license"] == PROJECT["license"]
    assert (ROOT / recipe["about"]["license_file"]).is_file()


def test_the_commands_that_the_recipe_tries_are_there(recipe):
    from click.testing import CliRunner

    from sparselrp_cli.cli.main import cli

    for command in recipe["test"]["commands"]:
        tool, *words = command.split()
        assert tool == "sparselrp"
        assert CliRunner().invoke(cli, words).exit_code == 0, command


def test_the_image_copies_what_there_is():
    copied = [source for *sources, _ in instructions("COPY") for source in sources]
    assert [source for source in copied if not (ROOT / source).exists()] == []
    # pip builds in the image what pyproject.toml names.
    wheel = PYPROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    shipped = {place.split("/")[0] for place in wheel["force-include"]}
    named = {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *wheel["packages"], *shipped}
    assert named <= set(copied)


def test_the_image_installs_extras_that_there_are():
    text = DOCKERFILE.read_text()
    asked = {extra for found in re.findall(r"\.\[([\w,-]+)\]", text) for extra in found.split(",")}
    assert asked
    assert asked <= set(EXTRAS)
    # Each line that takes a version from constraints.txt finds one there.
    assert re.search(r"^torch==", (ROOT / "constraints.txt").read_text(), re.MULTILINE)


def test_every_extra_says_what_it_is_for():
    lines = (ROOT / "pyproject.toml").read_text().splitlines()
    for extra in EXTRAS:
        (at,) = [i for i, line in enumerate(lines) if line.startswith(f"{extra} = [")]
        assert lines[at - 1].startswith("# "), extra


def locked() -> dict[str, Version]:
    """The versions of the lock file, by name."""
    lines = (ROOT / "requirements-tests.txt").read_text().splitlines()
    pins = [re.fullmatch(r"([a-z0-9-]+)==(\S+)", line) for line in lines if not line.startswith("#")]
    assert all(pins), "a name and its version in each line, and nothing else"
    return {pin[1]: Version(pin[2]) for pin in pins}


def test_the_lock_has_a_version_in_range_of_all_that_tests_need():
    lock = runpy.run_path(str(ROOT / "packaging" / "lock.py"))
    versions = locked()
    asked = [*map(Requirement, lock["of_project"](("test", "workflow", "check")))]
    assert {"torch", "modisco-lite", "pytest", "hatchling", "sphinx"} <= {each.name for each in asked}
    for each in asked:
        found = versions.get(lock["normalised"](each.name))
        assert found is not None, f"{each.name}: run packaging/lock.py"
        assert each.specifier.contains(found), f"{each}: {found} is locked"


def test_the_lock_agrees_with_what_users_are_told_to_take():
    pinned = Requirement((ROOT / "constraints.txt").read_text().strip())
    assert pinned.specifier.contains(locked()[pinned.name])


def test_the_image_runs_the_command_as_an_ordinary_user():
    assert DOCKERFILE.read_text().splitlines()[-2:] == ['ENTRYPOINT ["sparselrp"]', 'CMD ["--help"]']
    assert instructions("USER") == [["sparselrp"]]


def test_the_image_has_a_python_that_the_project_takes():
    ((image,),) = instructions("FROM")
    minor = int(image.removeprefix("python:3.").removesuffix("-slim"))
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert 11 <= minor < 14
