"""Every command, option, composite, format, file and public name has its place in the pages."""

import re

import click
import pytest

import sparselrp
from docs.reading import pages
from sparselrp_cli.cli.main import COMMANDS, cli
from sparselrp_cli.model.folder import SCHEMA_VERSION as FOLDER
from sparselrp_cli.motifs.files import SCHEMA_VERSION as MOTIFS
from sparselrp_cli.outputs.archive.layout import SCHEMA_VERSION as ARCHIVE
from sparselrp_cli.outputs.archive.layout import columns
from sparselrp_cli.outputs.formats import FORMATS, products
from sparselrp_cli.relevance.choices import COMPOSITES, ENDS, REDISTRIBUTIONS, SELECTING
from sparselrp_cli.settings.manifest import SCHEMA_VERSION as MANIFEST

PAGES = pages()
WRITTEN = "\n".join(text for name, text in PAGES.items() if name != "changelog")


def command(name: str) -> click.Command:
    return cli.get_command(click.Context(cli), name)


def options() -> list[str]:
    """The long names of all options, each once."""
    found = {
        option
        for name in COMMANDS
        for parameter in command(name).params
        if isinstance(parameter, click.Option)
        for option in (*parameter.opts, *parameter.secondary_opts)
        if option.startswith("--")
    }
    return sorted(found)


def test_the_reference_of_commands_is_made_from_them():
    assert ".. click:: sparselrp_cli.cli.main:cli" in PAGES["commands"]
    assert ":nested: full" in PAGES["commands"]


@pytest.mark.parametrize("name", [*COMMANDS])
def test_a_command_is_shown_at_work_and_says_what_it_is_for(name):
    assert re.search(rf"sparselrp {name}\b", WRITTEN)
    assert command(name).help
    assert command(name).short_help


@pytest.mark.parametrize("option", options())
def test_an_option_says_what_it_does(option):
    """The reference is made of these texts."""
    of_commands = [p for name in COMMANDS for p in command(name).params if isinstance(p, click.Option)]
    texts = [p.help for p in of_commands if option in (*p.opts, *p.secondary_opts)]
    assert texts
    assert all(text and len(text.split()) >= 2 for text in texts)


@pytest.mark.parametrize(
    "option",
    [
        o
        for o in options()
        if o not in ("--help", "--version", "--quiet", "--verbose", "--alphabet", "--locus", "--email")
    ],
)
def test_an_option_is_spoken_of_in_the_pages(option):
    assert re.search(rf"(?<![\w-]){option}(?![\w-])", WRITTEN) or short_of(option)


def short_of(option: str) -> bool:
    """Whether the pages use the letter of an option, as most do who type it."""
    letters = {
        short
        for name in COMMANDS
        for parameter in command(name).params
        if option in parameter.opts
        for short in parameter.opts
        if not short.startswith("--")
    }
    return any(re.search(rf"sparselrp .*\s{letter} ", WRITTEN) for letter in letters)


@pytest.mark.parametrize("composite", COMPOSITES)
def test_a_composite_is_in_the_table(composite):
    short, whole = "`epsilon-plus-flat`, `-box`, `-w-square`", "`epsilon-plus-box` `epsilon-plus-w-square`"
    page = PAGES["rules"].replace(short, f"`epsilon-plus-flat` {whole}")
    assert f"`{composite}`" in page


@pytest.mark.parametrize("rule", SELECTING)
def test_a_rule_is_named(rule):
    assert f"`{rule}`" in PAGES["rules"]


@pytest.mark.parametrize("value", [*ENDS, *REDISTRIBUTIONS])
def test_a_choice_is_explained(value):
    assert value in PAGES["targets"] + PAGES["method"]


@pytest.mark.parametrize("name", [*FORMATS])
def test_a_format_is_named_with_its_files(name):
    text = PAGES["files"] + PAGES["schemas"]
    assert re.search(rf"[`, ]{name}\b", WRITTEN)
    endings = [ending for product in products([name]) for ending in product.endings]
    assert [ending for ending in endings if f"`PREFIX.{ending}`" not in text] == []


@pytest.mark.parametrize(
    "name",
    ["PREFIX.h5", "PREFIX.windows.tsv", "PREFIX.skipped.tsv", "PREFIX_mqc.tsv", "PREFIX.manifest.json",
     "PREFIX.partial", "PREFIX.seqlets.bed", "PREFIX.hits.bed", "PREFIX.seqlets.as", "PREFIX.hits.as",
     "PREFIX.motifs.meme", "PREFIX.motifs.tsv", "PREFIX.motifs.h5", "PREFIX.report.html",
     "PREFIX.variants.tsv", "PREFIX.difference.bw"],
)  # fmt: skip
def test_a_file_is_explained(name):
    assert f"`{name}`" in WRITTEN


@pytest.mark.parametrize(
    ("file", "version"),
    [("`PREFIX.h5`", ARCHIVE), ("`PREFIX.manifest.json`", MANIFEST), ("`PREFIX.motifs.json`", MOTIFS),
     ("`model.json` of a model folder", FOLDER)],
)  # fmt: skip
def test_versions_of_schemas_are_those_of_the_code(file, version):
    assert f"| {file} | {version} |" in PAGES["schemas"]


@pytest.mark.parametrize("column", columns(10, "float32", 2, spread=True, blocks=True), ids=lambda c: c.name)
def test_a_dataset_of_the_archive_is_in_the_table(column):
    row = re.search(rf"^\|[^|]*`{column.name}`[^|]*\|([^|]*)\|", PAGES["schemas"], re.MULTILINE)
    assert row
    assert ("T" in row[1].split(", ")[-1] or ", T" in row[1]) == column.per_target


@pytest.mark.parametrize("name", [n for n in sparselrp.__all__ if not n.startswith("__")])
def test_a_public_name_is_in_the_reference(name):
    assert re.search(rf"auto\w+:: sparselrp\.{name}$", PAGES["python-reference"], re.MULTILINE)


@pytest.mark.parametrize("name", [n for n in sparselrp.__all__ if not n.startswith("__")])
def test_the_reference_has_a_docstring_to_show(name):
    assert (getattr(sparselrp, name).__doc__ or "").strip()


def typed() -> list[tuple[str, list[str]]]:
    """Every call of a command on the pages, with the page; lines that end in a backslash go on."""
    found = []
    for name, text in PAGES.items():
        text = re.sub(r"\\\\?\n\s*", " ", text)
        for code in re.findall(r"`(sparselrp [^`\n]+)`|^[ |!]*(sparselrp .+)$", text, re.MULTILINE):
            words = "".join(code).split(" #")[0].split(" | ")[0].split()
            if len(words) > 1 and words[1] in COMMANDS:
                found.append((name, words))
    return found


@pytest.mark.parametrize(
    ("page", "words"), typed(), ids=lambda value: value if isinstance(value, str) else None
)
def test_a_command_that_a_page_types_has_these_options(page, words):
    of_command = {option for p in command(words[1]).params for option in (*p.opts, *p.secondary_opts)}
    given = {word.strip("[]'`,.)") for word in words[2:] if re.match(r"\[?--?[a-zA-Z]", word)}
    assert given - of_command - {"-h"} == set()
