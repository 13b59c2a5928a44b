"""The recipe and the image say what pyproject.toml says."""

import re
import shlex
import tomllib
from pathlib import Path
from typing import Any

import pytest

import sparselrp_cli

ROOT = Path(__file__).parents[2]
PACKAGES = ("sparselrp", "sparselrp_cli")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
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


def test_the_recipe_needs_what_the_project_needs(recipe):
    needed = {*map(requirement, PROJECT["dependencies"]), requirement("python" + PROJECT["requires-python"])}
    assert set(map(requirement, recipe["requirements"]["run"])) == needed


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
    assert {"pyproject.toml", PROJECT["readme"], *PROJECT["license-files"], *PACKAGES} <= set(copied)


def test_the_image_runs_the_command_as_an_ordinary_user():
    assert DOCKERFILE.read_text().splitlines()[-2:] == ['ENTRYPOINT ["sparselrp"]', 'CMD ["--help"]']
    assert instructions("USER") == [["sparselrp"]]


def test_the_image_has_a_python_that_the_project_takes():
    ((image,),) = instructions("FROM")
    minor = int(image.removeprefix("python:3.").removesuffix("-slim"))
    assert PROJECT["requires-python"] == ">=3.11,<3.14"
    assert 11 <= minor < 14
