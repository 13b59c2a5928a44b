"""The Nextflow module: description, stub and script, read without Nextflow, and run where there is one."""

import os
import re
import shlex
import shutil
import subprocess
import textwrap
from fnmatch import fnmatch
from pathlib import Path

import pytest
from helpers.commands import command
from helpers.own_network import write_network, write_regions

from sparselrp_cli.outputs.formats import FORMATS, products
from sparselrp_cli.runs.file_set import MOTIF_ENDINGS

yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")

ROOT = Path(__file__).parents[2]
MODULE = ROOT / "workflow" / "nextflow" / "sparselrp" / "attribute"
TEXT = (MODULE / "main.nf").read_text()
META = yaml.safe_load((MODULE / "meta.yml").read_text())
OF_EVERY_RUN = ("archive", "windows", "skipped", "manifest", "multiqc")


def section(name: str) -> str:
    """What stands in the process under a name, such as output, up to the next."""
    found = re.search(rf"^    {name}:\n(.*?)(?=^    \w+:\n|^\}})", TEXT, re.DOTALL | re.MULTILINE)
    assert found
    return found[1]


def outputs() -> dict[str, str]:
    """The pattern of each output, by the name it is emitted under."""
    return {
        name: path for path, name in re.findall(r'path\(?\s*"([^"]+)"\)?.*emit: (\w+)', section("output"))
    }


def shell(name: str, **values: str) -> str:
    """The text of `script` or `stub` as a shell gets it: without its indent, with what Groovy puts in."""
    text = re.search(r'"""\n(.*?)"""', section(name), re.DOTALL)
    assert text
    put = re.sub(r"(?<!\\)\$\{([\w.]+)\}", lambda match: values[match[1]], textwrap.dedent(text[1]))
    return put.replace("\\$", "$").replace("\\\\\n", "\\\n")


def test_the_description_has_the_inputs_in_their_order():
    declared = [re.findall(r"(?:val|path)\((\w+)\)", line) for line in section("input").splitlines()]
    described = [[name for entry in channel for name in entry] for channel in META["input"]]
    assert [names for names in declared if names] == described


def test_the_description_has_the_outputs_in_their_order():
    described = {}
    for name, entries in META["output"].items():
        files = entries[0] if isinstance(entries[0], list) else entries
        (described[name],) = [file for entry in files for file in entry if file != "meta"]
    assert list(described.items()) == list(outputs().items())


ELEMENTS = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "type": {"enum": ["map", "file", "directory", "string", "integer", "float", "boolean", "list"]},
            "description": {"type": "string", "minLength": 1},
            "pattern": {"type": "string"},
        },
        "required": ["type", "description"],
        "additionalProperties": False,
    },
    "minProperties": 1,
    "maxProperties": 1,
}
TOOL = {
    "type": "object",
    "properties": {
        "description": {"type": "string"},
        "homepage": {"type": "string", "pattern": "^https?://"},
        "licence": {"type": "array", "items": {"type": "string"}, "minItems": 1},
    },
    "required": ["description", "licence"],
    "anyOf": [{"required": [name]} for name in ("homepage", "documentation", "tool_dev_url", "doi")],
}
DESCRIPTION = {
    "type": "object",
    "properties": {
        "name": {"const": "sparselrp_attribute"},
        "description": {"type": "string"},
        "keywords": {"type": "array", "items": {"type": "string"}, "minItems": 3, "uniqueItems": True},
        "tools": {"type": "array", "items": {"type": "object", "additionalProperties": TOOL}},
        "input": {"type": "array", "items": {"type": "array", "items": ELEMENTS}},
        "output": {
            "type": "object",
            "additionalProperties": {
                "type": "array",
                "items": {"anyOf": [ELEMENTS, {"type": "array", "items": ELEMENTS}]},
            },
        },
        "authors": {"type": "array", "items": {"type": "string"}},
        "maintainers": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["name", "description", "keywords", "tools", "output", "authors"],
    "additionalProperties": False,
}
"""What nf-core wants a module to say of itself: lists of elements, each with its type and what it is."""


def test_the_description_is_as_nf_core_wants_it():
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema isn't installed")
    jsonschema.validate(META, DESCRIPTION)


def test_braces_and_quotes_come_in_pairs():
    code = re.sub(r'""".*?"""', "", TEXT, flags=re.DOTALL)
    assert TEXT.count('"""') == 4
    for opening, closing in ("{}", "()", "[]"):
        assert code.count(opening) == code.count(closing)
    assert code.count('"') % 2 == code.count("'") % 2 == 0


def test_what_the_module_emits_is_what_a_run_writes():
    endings = {f".{ending}" for product in products(FORMATS) for ending in product.endings}
    endings |= {f".{ending}" for ending in (*MOTIF_ENDINGS, "report.html")}
    endings |= {".h5", ".windows.tsv", ".skipped.tsv", ".manifest.json", "_mqc.tsv"}
    patterns = {name: path.replace("${prefix}", "run") for name, path in outputs().items()}
    patterns.pop("versions")
    never = [name for name, p in patterns.items() if not any(fnmatch(f"run{end}", p) for end in endings)]
    assert never == []


def test_the_environment_has_the_version_of_the_workflow():
    def version(path: Path) -> list[str]:
        return [str(d).replace(" ", "") for d in yaml.safe_load(path.read_text())["dependencies"]]

    assert version(MODULE / "environment.yml") == version(ROOT / "workflow" / "envs" / "sparselrp.yaml")


def test_the_stub_makes_all_that_a_run_always_makes(tmp_path):
    tool = tmp_path / "bin" / "sparselrp"
    tool.parent.mkdir()
    tool.write_text("#!/bin/sh\necho 0.2\n")
    tool.chmod(0o755)
    text = shell("stub", prefix="peaks", **{"task.process": "SPARSELRP_ATTRIBUTE"})
    path = f"{tool.parent}:/usr/bin:/bin"
    subprocess.run(["bash", "-euo", "pipefail", "-c", text], cwd=tmp_path, env={"PATH": path}, check=True)

    made = {path.name for path in tmp_path.iterdir() if path.is_file()}
    assert made == {outputs()[name].replace("${prefix}", "peaks") for name in OF_EVERY_RUN} | {
        "peaks.bw", "versions.yml",
    }  # fmt: skip
    versions = yaml.safe_load((tmp_path / "versions.yml").read_text())
    assert [*versions["SPARSELRP_ATTRIBUTE"]] == ["sparselrp"]


@pytest.mark.parametrize("of_regions", ["-r peaks.bed", ""])
def test_the_script_runs_and_leaves_the_files_it_promises(tmp_path, monkeypatch, of_regions):
    write_network(tmp_path)
    write_regions(tmp_path, 2)
    monkeypatch.chdir(tmp_path)
    text = shell(
        "script", fasta="genome.fa", of_regions=of_regions, named="net.py:Net", of_weights="-w net.pt",
        args="-t first --formats h5,bigwig", prefix="peaks", **{"task.cpus": "1", "task.process": "P"},
    )  # fmt: skip
    words = shlex.split(text.split("\n\n")[0].replace("\\\n", " "))
    assert words[:2] == ["sparselrp", "attribute"]
    assert command(*words[1:]) == 0
    promised = [outputs()[name].replace("${prefix}", "peaks") for name in (*OF_EVERY_RUN, "bigwig")]
    assert [pattern for pattern in promised if not list(tmp_path.glob(pattern))] == []


PARSES = """\
import org.codehaus.groovy.control.*
args.each {
    def unit = new CompilationUnit(new CompilerConfiguration())
    unit.addSource(new File(it))
    unit.compile(Phases.CONVERSION)
}
"""


def parse(folder: Path, *files: Path) -> subprocess.CompletedProcess[str]:
    """Let Groovy, whose syntax Nextflow's is, parse files."""
    groovy, java = shutil.which("groovy"), shutil.which("java")
    if groovy is None or java is None:
        pytest.skip("groovy isn't installed (Debian: apt-get install groovy default-jre-headless)")
    (folder / "parse.groovy").write_text(PARSES)
    home = {"JAVA_HOME": str(Path(java).resolve().parents[1]), **os.environ}
    command = [groovy, str(folder / "parse.groovy"), *map(str, files)]
    return subprocess.run(command, env=home, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_groovy_parses_the_module_and_its_test(tmp_path):
    done = parse(tmp_path, MODULE / "main.nf", MODULE / "tests" / "main.nf")
    assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "broken.nf").write_text(TEXT.replace("path(fasta)", "path(fasta"))
    assert parse(tmp_path, tmp_path / "broken.nf").returncode != 0


@pytest.mark.slow
def test_nextflow_runs_the_stub(tmp_path):
    nextflow = shutil.which("nextflow")
    if nextflow is None:
        pytest.skip("nextflow isn't installed")
    done = subprocess.run(
        [nextflow, "run", str(MODULE / "tests" / "main.nf"), "-stub-run"],
        cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "peaks.h5" in done.stdout
