"""What the workflow, its wrapper and the texts say of options is what the code says."""

import re
from pathlib import Path
from typing import Any

import pytest

from sparselrp_cli.cli.models import DETAILS
from sparselrp_cli.model.token_text import DETAILS as DETAILS_OF_TOKENS
from sparselrp_cli.outputs.choices import OVERLAPS, WARN_ABOVE
from sparselrp_cli.outputs.formats import FORMATS, products, standard_formats
from sparselrp_cli.relevance.choices import COMPOSITE, PROPORTION
from sparselrp_cli.relevance.conservation import SCORE_FLOOR
from sparselrp_cli.relevance.pruning import NONE, STANDARD
from sparselrp_cli.settings.kinds import Device
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.run import RunSettings

yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / "workflow"
PAGES = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
TEXTS = [ROOT / "README.md", *PAGES, ROOT / "data" / "demo.sh", WORKFLOW / "README.md"]


def keys() -> dict[str, Any]:
    """The keys of the workflow's configuration."""
    return yaml.safe_load((WORKFLOW / "schemas" / "config.schema.yaml").read_text())["properties"]


def of_models() -> dict[str, Any]:
    return keys()["models"]["additionalProperties"]["properties"]


def rows_of_the_table() -> dict[str, list[str]]:
    """The cells of the table of keys in the workflow's README, by its first cell."""
    lines = (WORKFLOW / "README.md").read_text().split("## Configuration")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {first: rest for first, *rest in rows}


def test_the_engine_prunes_as_a_run_does_unless_told():
    assert STANDARD.positive == RunSettings().prune == PROPORTION
    assert STANDARD.redistribute == RunSettings().redistribute
    assert NONE.is_identity


def test_the_workflow_runs_as_the_command_does_unless_told():
    given = RunSettings()

    assert of_models()["prune"]["default"] == given.prune
    assert keys()["overlap"]["default"] == given.overlap
    assert keys()["device"]["default"] == given.device
    assert keys()["batch_size"]["default"] == "auto"
    assert ["h5", *keys()["formats"]["default"]] == list(standard_formats(on_genome=True))


def test_the_workflow_takes_what_the_command_takes():
    assert set(keys()["formats"]["items"]["enum"]) == set(FORMATS)
    assert set(keys()["overlap"]["enum"]) == set(OVERLAPS)
    prune = of_models()["prune"]["oneOf"]
    assert prune == [{"type": "number", "minimum": 0, "exclusiveMaximum": 1}, {"const": "auto"}]


@pytest.mark.parametrize("text", ["auto", "cpu", "cuda", "cuda:12", "gpu", "cuda:", "cuda:x", "CPU", ""])
def test_the_workflow_takes_the_devices_that_the_command_takes(text):
    try:
        taken = bool(Device().parse(text))
    except WrongValueError:
        taken = False

    assert bool(re.search(keys()["device"]["pattern"], text)) == taken


def test_the_wrapper_describes_every_file_of_a_run():
    text = (WORKFLOW / "wrapper" / "wrapper.py").read_text()
    of_every_run = set(re.findall(r'"([._][\w.]+)"', text.split("FORMAT_OF")[0]))
    of_formats = {f".{ending}" for product in products(FORMATS) for ending in product.endings}
    described = yaml.safe_load((WORKFLOW / "wrapper" / "meta.yaml").read_text())["output"]
    endings = [re.search(r"`PREFIX([\w.]+)`", line)[1] for entry in described for line in entry.values()]

    assert of_every_run == {".h5", ".windows.tsv", ".skipped.tsv", ".manifest.json", "_mqc.tsv"}
    assert sorted(endings) == sorted(of_every_run | of_formats)


def test_the_table_of_keys_is_that_of_the_schema():
    named = {name for first in rows_of_the_table() for name in re.findall(r"`(\w+)`", first)}

    assert named == set(keys())


@pytest.mark.parametrize(
    "name", ["outdir", "shards", "keep_shards", "formats", "overlap", "batch_size", "device", "retries"]
)
def test_the_table_of_keys_has_the_defaults_of_the_schema(name):
    (cell,) = (rest[-1] for first, rest in rows_of_the_table().items() if f"`{name}`" in first)

    assert yaml.safe_load(cell.strip("`")) == keys()[name]["default"]


def test_the_table_of_keys_names_every_format():
    assert set(re.findall(r"`([\w-]+)`", rows_of_the_table()["`formats`"][0])) == set(FORMATS) - {"h5"}


def test_texts_name_the_default_proportion_and_composite():
    proportions, composites = [], []
    for path in TEXTS:
        text = path.read_text()
        proportions += re.findall(r"\bp = ([\d.]+\d), the default|`-p ([\d.]+)`, the default", text)
        composites += re.findall(r"`([\w-]+)` \(default\)|\*\*`([\w-]+)`, the default", text)

    assert {float("".join(match)) for match in proportions} == {PROPORTION}
    assert {"".join(match) for match in composites} == {COMPOSITE}


def test_texts_name_the_bounds_of_the_conservation_error():
    text = " ".join((ROOT / "docs" / "accounting.md").read_text().split())
    bounds = re.findall(r"or to (0\.\d+) where the score is smaller\. Above (0\.\d+) a run warns", text)

    assert [tuple(map(float, pair)) for pair in bounds] == [(SCORE_FLOOR, WARN_ABOVE)]


@pytest.mark.parametrize("page", [ROOT / "README.md", *PAGES], ids=lambda path: str(path.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page):
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text())

    assert [link for link in links if not (page.parent / link).exists()] == []


def test_the_example_of_the_configuration_is_one_of_the_default():
    commented = re.findall(
        r"^  #   prune: ([\d.]+)$", (WORKFLOW / "config" / "config.yaml").read_text(), re.M
    )

    assert [float(number) for number in commented] == [PROPORTION]


def test_what_goes_with_a_model_is_called_as_its_option():
    for key in ("weights", "tokens"):
        assert DETAILS[key] == f"--{key}"
        assert key in of_models()
        assert f"`{key}`" in rows_of_the_table()["`models`"][0]
    needed = keys()["models"]["additionalProperties"]["dependentRequired"]
    assert needed == {"weights": ["model"], "tokens": ["model"]}


@pytest.mark.parametrize(
    "text", ["vocab.txt", "a,b.txt", "vocab.txt,step=3,front=", "A=7,C=8,G=9,T=10", "x=y.json,tokens=9"]
)
def test_the_workflow_cuts_tokens_as_the_command_does(text):
    (pattern,) = re.findall(r'fullmatch\(r"(.*)", text\)', (WORKFLOW / "rules" / "common.smk").read_text())
    match = DETAILS_OF_TOKENS.fullmatch(text)
    assert re.fullmatch(pattern, text).groups() == (match["file"], match["details"])
