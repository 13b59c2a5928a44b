"""The package alone: what wheel and sdist hold, and that the demo runs where nothing but the wheel is.

`make check` runs these, through `make package`.
"""

import os
import runpy
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterable
from email.parser import Parser
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

import sparselrp_cli
from sparselrp_cli.files.digest import sha256

pytest.importorskip("hatchling", reason="hatchling isn't installed (the extra test brings it)")

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
LARGEST_WHEEL = 1_500_000
WHEEL = f"sparselrp-{sparselrp_cli.__version__}-py3-none-any.whl"
OURS = {"sparselrp", "sparselrp_cli", "pip", "setuptools", "pkg_resources", "_distutils_hack"}
HIDING = """
import os
import sys

sys.modules.update(dict.fromkeys(filter(None, os.environ.get("HIDDEN_MODULES", "").split(","))))
"""
SHIPPED = {
    *(f"models/{name}/{file}" for name in ("suhw-dm3", "insulators-dm3")
      for file in ("README.md", "model.json", "traced.json", "weights.safetensors")),
    *(f"data/{file}"
      for file in ("README.md", "suhw-windows.fa", "jaspar2026-insects.meme", "suhw-MA0533.1.jaspar")),
    "workflow/Snakefile",
    *(path.relative_to(ROOT).as_posix()
      for part in ("config", "envs", "profiles", "report", "rules", "schemas")
      for path in (ROOT / "workflow" / part).rglob("*") if path.is_file()),
}  # fmt: skip


def build(source: Path, into: Path, *kinds: str) -> None:
    """Build as pip does, without the network."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(into), *kinds],
        cwd=source, check=True, capture_output=True, text=True,
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """A folder with the wheel and the sdist of the checkout."""
    folder = tmp_path_factory.mktemp("dist")
    build(ROOT, folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> Path:
    return built / WHEEL


@pytest.fixture(scope="module")
def unpacked(built, tmp_path_factory) -> Path:
    """What is in the sdist."""
    folder = tmp_path_factory.mktemp("sdist")
    (sdist,) = built.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    (root,) = folder.iterdir()
    return root


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A `sparselrp` of an environment that has the wheel, and beside it what is installed here."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    options = ["--no-deps", "--no-index", "--quiet", "--disable-pip-version-check"]
    subprocess.run([sys.executable, "-m", "pip", "--python", str(python), "install", *options, str(wheel)],
                   check=True)  # fmt: skip
    # Plain paths: the links in them to packages that are being developed, ours among them, aren't followed.
    (places,) = folder.glob("lib/python*/site-packages")
    beside = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (places / "beside.pth").write_text("\n".join(beside) + "\n")
    (places / "sitecustomize.py").write_text(HIDING)
    return folder / "bin" / "sparselrp"


def run(
    command: Path, *arguments: str, cwd: Path, hidden: Iterable[str] = (), check: bool = True
) -> subprocess.CompletedProcess[str]:
    """Run the installed command in a folder, where Python is told of no other place; some modules hidden."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HIDDEN_MODULES"] = ",".join(hidden)
    return subprocess.run(
        [command, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=check
    )


def of_extras_alone() -> set[str]:
    """The modules that are installed here and that the package alone doesn't bring."""
    lock = runpy.run_path(str(ROOT / "packaging" / "lock.py"))
    alone = set(lock["with_what_they_need"](lock["of_project"](())))
    owners = {
        module: {lock["normalised"](name) for name in names}
        for module, names in packages_distributions().items()
    }
    return {module for module, names in owners.items() if module.isidentifier() and not names & alone} - OURS


def names_in(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_is_small_and_holds_the_shipped_files_as_they_are(wheel):
    assert wheel.stat().st_size < LARGEST_WHEEL
    with zipfile.ZipFile(wheel) as archive:
        for place in SHIPPED:
            assert archive.read(f"sparselrp_cli/shipped/{place}") == (ROOT / place).read_bytes(), place


def test_the_wheel_holds_no_tests_and_nothing_else_at_the_top(wheel):
    names = names_in(wheel)
    assert [name for name in names if "tests" in name.split("/") or "/test_" in name] == []
    tops = {name.split("/")[0] for name in names if not name.split("/")[0].endswith(".dist-info")}
    assert tops <= {"sparselrp", "sparselrp_cli"}
    assert {name for name in names if name.startswith("sparselrp_cli/shipped/")} == {
        f"sparselrp_cli/shipped/{place}" for place in SHIPPED
    }


def test_the_wheel_says_its_version_its_licence_and_its_extras(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (place,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = Parser().parsestr(archive.read(place).decode())
    assert metadata["Version"] == sparselrp_cli.__version__
    assert metadata["License-Expression"] == "MIT"
    assert {"motifs", "jaspar", "tokens", "import", "baselines"} <= set(metadata.get_all("Provides-Extra"))


def test_the_sdist_builds_the_same_wheel(unpacked, wheel, tmp_path):
    build(unpacked, tmp_path, "-t", "wheel")
    assert sha256(tmp_path / WHEEL) == sha256(wheel)


def test_the_sdist_holds_what_the_repository_holds(unpacked):
    for folder in ("tests", "workflow", "packaging", "docs", "models", "data"):
        assert (unpacked / folder).is_dir(), folder
    for file in ("LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "constraints.txt", "Makefile"):
        assert (unpacked / file).is_file(), file


def test_what_the_image_copies_builds_the_same_wheel(wheel, tmp_path):
    """The steps of the Dockerfile, as far as they go without Docker: COPY, then what pip builds."""
    text = (ROOT / "packaging" / "Dockerfile").read_text()
    (place := tmp_path / "image").mkdir()
    for *sources, target in (line.split()[1:] for line in text.splitlines() if line.startswith("COPY ")):
        for source in sources:
            into = place / target / (source if target == "./" else "")
            (shutil.copytree if (ROOT / source).is_dir() else shutil.copy)(ROOT / source, into)
    build(place, tmp_path / "dist", "-t", "wheel")
    assert sha256(tmp_path / "dist" / WHEEL) == sha256(wheel)


def test_the_installed_command_runs_from_the_wheel(installed, tmp_path):
    code = "import sparselrp_cli; print(sparselrp_cli.__file__)"
    where = run(installed.with_name("python"), "-c", code, cwd=tmp_path).stdout.strip()
    assert Path(where).is_relative_to(installed.parents[1])
    assert run(installed, "--version", cwd=tmp_path).stdout == f"{sparselrp_cli.__version__}\n"


def test_the_wheel_brings_the_workflow_that_init_configures(installed, tmp_path):
    shutil.copy(ROOT / "data" / "suhw-windows.fa", tmp_path / "genome.fa")
    said = run(installed, "init", "genome.fa", "-m", "suhw-dm3", cwd=tmp_path).stdout
    (place,) = {word for word in said.split() if word.endswith("Snakefile")}
    assert Path(place).is_relative_to(installed.parents[1])
    assert Path(place).read_bytes() == (ROOT / "workflow" / "Snakefile").read_bytes()
    assert (tmp_path / "sparselrp-workflow" / "profile" / "config.yaml").is_file()


def test_the_demo_goes_from_an_empty_folder_to_a_report_by_commands_that_can_be_copied(installed, tmp_path):
    said = run(installed, "demo", cwd=tmp_path).stdout
    folder = tmp_path / "sparselrp-demo"
    assert "su(Hw)" in (folder / "suhw.motifs.tsv").read_text()
    assert "su(Hw)" in (folder / "suhw.report.html").read_text()
    assert "mass_in_sites" in said
    places = [line.split()[0] for line in said.split("Where to look:")[1].splitlines() if line[:2] == "  "]
    assert places
    assert [place for place in places if not (tmp_path / place).is_file()] == []

    again = run(installed, "demo", cwd=tmp_path, check=False)
    assert again.returncode == 1
    assert "sparselrp-demo has a demo already" in again.stderr

    # The last command as a shell reads it; the others are tried in tests/cli/test_demo.py.
    *_, copied = (line.strip() for line in said.splitlines() if line.strip().startswith("sparselrp "))
    path = os.pathsep.join([str(installed.parent), os.environ["PATH"]])
    subprocess.run(["sh", "-c", copied], cwd=tmp_path, env={**os.environ, "PATH": path}, check=True)


def test_without_any_extra_the_demo_reaches_a_report_and_names_the_extra_for_motifs(installed, tmp_path):
    """Nothing is importable but what the package itself asks for."""
    hidden = of_extras_alone()
    assert {"modiscolite", "memelite", "scipy", "sklearn", "igraph", "hdf5plugin"} <= hidden
    assert not {"torch", "numpy", "numba", "matplotlib", "logomaker", "pandas"} & hidden
    said = run(installed, "demo", cwd=tmp_path, hidden=hidden).stdout
    assert "pip install 'sparselrp[motifs]'" in said
    assert (tmp_path / "sparselrp-demo" / "suhw.report.html").is_file()
    drawn = ("plot", "sparselrp-demo/suhw.h5", "suhw_1:1-100", "-o", "site.svg", "-q")
    run(installed, *drawn, cwd=tmp_path, hidden=hidden)
    assert (tmp_path / "site.svg").stat().st_size
