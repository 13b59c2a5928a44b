"""The pages are built without a warning, from files that are read as they are in the repository."""

import importlib.util
import re
import sys
from pathlib import Path, PurePosixPath
from types import ModuleType

import pytest

from docs.reading import DOCS, ROOT, pages

pytest.importorskip("sphinx", reason="Sphinx isn't installed (the extra docs brings it)")


def extension(name: str) -> ModuleType:
    """A module of docs/_ext/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def links():
    def mended(text: str, folder: Path = DOCS, place: str = ".") -> str:
        return extension("elsewhere").with_links_of(text, folder, PurePosixPath(place))

    return mended


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[a](files.md)", "[a](files.md)"),
        ("[a](files.md#schemas)", "[a](files.md#schemas)"),
        ("[a](#here)", "[a](#here)"),
        ("[a](https://example.org/b.md)", "[a](https://example.org/b.md)"),
        ("[a](../benchmarks/RESULTS.md#images)", "[a](evidence.md#images)"),
        ("[a](../workflow/)", "[a](workflow.md)"),
        ("[a](../LICENSE)", "a"),
        ("[`a`](../tests/conftest.py) and [b](files.md)", "`a` and [b](files.md)"),
        ("![a](../benchmarks/results/deep.png)", "![a](../benchmarks/results/deep.png)"),
    ],
)
def test_a_link_leads_to_the_page_that_shows_the_file_or_is_plain_text(links, text, expected):
    assert links(text) == expected


def test_links_of_a_file_elsewhere_are_read_from_where_it_lies(links):
    text = "[a](../docs/files.md) ![b](results/deep.png)"
    assert links(text, ROOT / "benchmarks") == "[a](files.md) ![b](../benchmarks/results/deep.png)"
    assert links("[a](../suhw-dm3)", ROOT / "models" / "insulators-dm3", "shipped") == "[a](suhw-dm3.md)"


def test_cells_of_a_notebook_are_text_and_code():
    text = """{"cells": [
        {"cell_type": "markdown", "source": ["# Title"]},
        {"cell_type": "code", "source": ["x = 1\\n", "x"]},
        {"cell_type": "code", "source": ["!sparselrp -V"]}]}"""
    link = "Open {download}`a.ipynb` in Jupyter to run it."
    blocks = ["# Title", link, "```python\nx = 1\nx\n```", "```sh\n!sparselrp -V\n```"]
    assert extension("notebook_pages").as_markdown(text, "a.ipynb") == "\n\n".join(blocks)


def formulas() -> list[str]:
    return [f.strip() for text in pages().values() for f in re.findall(r"\$\$(.+?)\$\$", text, re.DOTALL)]


@pytest.mark.parametrize("formula", formulas())
def test_a_formula_can_be_drawn(formula):
    from docutils.utils.math.latex2mathml import tex2mathml

    assert tex2mathml(formula, as_block=True).startswith("<math")


def test_sphinx_starts_with_the_configuration(tmp_path, monkeypatch):
    """`make docs` builds every page; here all extensions are loaded and all pages found."""
    from sphinx.application import Sphinx

    import sparselrp_cli

    monkeypatch.setattr(sys, "path", list(sys.path))
    app = Sphinx(DOCS, DOCS, tmp_path / "html", tmp_path / "doctrees", "html", status=None)
    assert app.config.version == app.config.release == sparselrp_cli.__version__
    app.project.discover(app.config.exclude_patterns, app.config.include_patterns)
    assert app.project.docnames == set(pages())
