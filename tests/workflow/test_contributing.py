"""What stands beside the code: versions and dates agree, commands of the pages exist, forms can be read."""

import re
import shlex
from pathlib import Path
from typing import Any

import click
import pytest

import sparselrp_cli
from sparselrp_cli.cli.main import COMMANDS, cli

yaml = pytest.importorskip("yaml", reason="PyYAML isn't installed")

ROOT = Path(__file__).parents[2]
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
PAGES = {
    "contributing": ROOT / "CONTRIBUTING.md",
    "releasing": ROOT / "docs" / "developers" / "releasing.md",
    "conduct": ROOT / "CODE_OF_CONDUCT.md",
    "citing": ROOT / "docs" / "citing.md",
}
MAKEFILE = (ROOT / "Makefile").read_text()


def cff() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "CITATION.cff").read_text())


def form(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text())


def shell_lines(page: Path) -> list[list[str]]:
    """The commands of a page's blocks, split as a shell does, without comments."""
    blocks = re.findall(r"```sh\n(.*?)```", page.read_text(), re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [shlex.split(line, comments=True) for line in lines if line and not line.startswith("#")]


def head_of_changelog() -> str:
    return re.search(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)[1]


def test_the_newest_release_in_the_changelog_is_this_version():
    heads = re.findall(r"^## (\d.*)$", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    version, date = heads[0].split()
    assert version == sparselrp_cli.__version__
    assert date == f"({cff()['date-released']})"
    assert heads == sorted(heads, reverse=True)
    assert head_of_changelog() in ("Unreleased", heads[0])


def test_the_citation_file_has_what_its_format_asks_for():
    document = cff()
    assert {"cff-version", "message", "title", "authors"} <= set(document)
    assert document["cff-version"] == "1.2.0"
    assert document["type"] == "software"
    assert document["version"] == sparselrp_cli.__version__
    assert document["license"] == "MIT"
    preferred = document["preferred-citation"]
    assert {"type", "title", "authors", "doi", "year"} <= set(preferred)
    assert all({"family-names", "given-names"} <= set(author) for author in preferred["authors"])
    assert re.fullmatch(r"10\.\d{4,}/\S+", preferred["doi"])


def test_the_bibtex_entries_say_what_the_citation_file_says():
    document, text = cff(), PAGES["citing"].read_text()
    paper, software = (
        dict(re.findall(r"^  (\w+)\s*= \{(.*?)\},?$", entry, re.MULTILINE))
        for entry in re.findall(r"@\w+\{\w+,\n.*?\n\}", text, re.DOTALL)
    )
    preferred = document["preferred-citation"]
    authors = [f"{a['family-names']}, {a['given-names']}" for a in preferred["authors"]]
    assert paper["author"] == " and ".join(authors)
    assert (paper["title"], paper["doi"]) == (preferred["title"], preferred["doi"])
    assert paper["year"] == str(preferred["year"])
    assert paper["booktitle"] == preferred["collection-title"]
    assert software["author"] == f"{{{document['authors'][0]['name']}}}"
    assert (software["title"], software["version"]) == (document["title"], document["version"])
    assert software["year"] == str(document["date-released"].year)


def test_five_lines_lead_from_a_clone_to_green_tests():
    first = re.search(r"```sh\n(.*?)```", PAGES["contributing"].read_text(), re.DOTALL)[1].splitlines()
    assert len(first) <= 5
    assert first[0].startswith("git clone")
    assert first[2].startswith("make test ")


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_commands_of_a_page_exist(page):
    for line in shell_lines(page):
        words = [word for word in line if "=" not in word or word.startswith("-")]
        if words[0] == "make":
            for target in words[1:]:
                assert re.search(rf"^{target}( [\w-]+)*:", MAKEFILE, re.MULTILINE), target
        elif words[0] == "sparselrp" and words[1] in COMMANDS:
            command = cli.get_command(click.Context(cli), words[1])
            options = {option for parameter in command.params for option in parameter.opts}
            assert {word for word in words if word.startswith("--")} <= options
        else:
            files = [word for word in words if re.search(r"\.(py|sh)$", word)]
            assert all((ROOT / file).is_file() for file in files), line


@pytest.mark.parametrize("page", PAGES.values(), ids=PAGES)
def test_files_and_links_of_a_page_lead_somewhere(page):
    text = page.read_text()
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("https://")]
    assert [link for link in links if not (page.parent / link).exists()] == []
    places = re.findall(r"`((?:sparselrp_cli|packaging|docs|tests|workflow|benchmarks)/[\w./-]*)`", text)
    assert [place for place in places if not (ROOT / place).exists()] == []


def test_the_versions_on_the_page_on_releases_are_this_one():
    text = PAGES["releasing"].read_text()
    assert set(re.findall(r"\b\d+\.\d+\.\d+\b", text)) == {sparselrp_cli.__version__}


def test_the_code_of_conduct_names_what_holds_where_it_is_silent():
    assert "https://www.contributor-covenant.org/version/2/1/" in PAGES["conduct"].read_text()


@pytest.mark.parametrize("path", [p for p in FORMS if p.stem != "config"], ids=lambda path: path.stem)
def test_a_form_asks_for_what_inspect_says(path):
    document = form(path)
    assert {"name", "description", "body"} <= set(document)
    kinds = {"textarea", "input", "dropdown", "checkboxes", "markdown"}
    assert {field["type"] for field in document["body"]} <= kinds
    ids = [field["id"] for field in document["body"]]
    assert len(set(ids)) == len(ids)
    labels = " ".join(field["attributes"]["label"] for field in document["body"])
    assert "`sparselrp inspect MODEL --json`" in labels
    inspect = cli.get_command(click.Context(cli), "inspect")
    assert any("--json" in parameter.opts for parameter in inspect.params)


def test_forms_for_faults_need_versions_and_what_inspect_says():
    for path in FORMS:
        needed = {field["id"] for field in form(path).get("body", ()) if field.get("validations")}
        if path.stem in ("fault", "model"):
            assert {"inspect", "versions"} <= needed


def test_every_target_of_the_makefile_is_made_whatever_lies_there():
    text = (ROOT / "Makefile").read_text()
    phony = re.search(r"^\.PHONY: (.+)$", text, re.MULTILINE)[1].split()
    targets = {
        name for line in re.findall(r"^([a-z][a-z -]*):(?!=)", text, re.MULTILINE) for name in line.split()
    }
    assert targets == set(phony)
    assert all(f"make {name}" in text for name in targets - {"clean", "test-all", "bench-gpu"})
