"""Pages that the tool makes are in the built pages: by commands that are shown, from today's sources."""

import re

import pytest
from helpers.browsing import script_of

from docs.reading import DOCS, ROOT
from docs.test_building import extension
from sparselrp_cli.cli.main import cli

pytest.importorskip("sphinx", reason="Sphinx isn't installed (the extra docs brings it)")


@pytest.fixture
def demo(monkeypatch):
    """The extension, whose commands write empty pages and are noted."""
    module = extension("demo_pages")
    ran = []

    def run(words, *, cwd, **_):
        ran.append(words)
        for name in module.MADE:
            (cwd / name).parent.mkdir(exist_ok=True)
            (cwd / name).write_text("page")

    monkeypatch.setattr(module.subprocess, "run", run)
    module.ran = ran
    return module


def test_the_commands_of_the_page_can_be_read_and_make_what_is_linked():
    module = extension("demo_pages")
    assert [words[0] for words in module.commands()] == ["demo", "attribute", "motifs", "compare"]
    for name, *words in module.commands():
        assert cli.get_command(None, name).make_context(name, list(words)).params
    links = re.findall(r'<a href="([^"]+)">', module.PAGE.read_text())
    assert links == [f"{module.FOLDER}/{name.partition('/')[2]}" for name in module.MADE]


def test_pages_are_made_once_and_again_where_a_source_changes(demo, tmp_path, monkeypatch):
    place = tmp_path / "kept"
    demo.kept(place)
    number = len(demo.commands())
    assert len(demo.ran) == number
    demo.kept(place)
    assert len(demo.ran) == number
    (place / demo.MADE[0]).unlink()
    demo.kept(place)
    assert len(demo.ran) == 2 * number
    monkeypatch.setattr(demo, "digest", lambda: "of other sources")
    demo.kept(place)
    assert len(demo.ran) == 3 * number


def test_the_digest_is_of_the_package_the_models_and_the_data(tmp_path):
    module = extension("demo_pages")
    for name in module.SOURCES:
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    before = module.digest(tmp_path)
    (tmp_path / "sparselrp_cli" / "__pycache__").mkdir()
    (tmp_path / "sparselrp_cli" / "__pycache__" / "x.pyc").write_text("")
    assert module.digest(tmp_path) == before
    for name in module.SOURCES:
        (tmp_path / name / "file").write_text(f"{name} changed")
        assert module.digest(tmp_path) != before
        (tmp_path / name / "file").write_text(name)
    assert {path.name for path in module.sources(ROOT)} >= {
        "page.css",
        "weights.safetensors",
        "suhw-windows.fa",
    }


class App:
    """What of Sphinx is asked for."""

    def __init__(self, folder, form="html"):
        self.outdir = folder
        self.builder = type("Builder", (), {"format": form})()


def test_pages_are_put_beside_those_that_are_built_and_their_size_is_watched(demo, tmp_path, monkeypatch):
    said = []
    monkeypatch.setattr(demo.logger, "warning", lambda *words: said.append(words))
    demo.put_pages(App(tmp_path / "html"), None)
    assert {path.name for path in (tmp_path / "html" / demo.FOLDER).iterdir()} == {
        "suhw.report.html", "change.compare.html",
    }  # fmt: skip
    assert said == []
    monkeypatch.setattr(demo, "LARGEST", 3)
    demo.put_pages(App(tmp_path / "html"), None)
    assert [words[1] for words in said] == ["suhw.report.html", "change.compare.html"]


@pytest.mark.parametrize(("form", "error"), [("text", None), ("html", ValueError())])
def test_nothing_is_made_for_other_forms_or_after_a_failure(demo, tmp_path, form, error):
    demo.put_pages(App(tmp_path, form), error)
    assert demo.ran == []


def test_what_the_theme_leaves_out_is_put_in_once():
    mended = extension("accessible").mended
    text = '<p class="caption" role="heading">Begin</p><pre>x</pre><aside class="sidebar-drawer"></aside>'
    once = mended(text)
    assert 'role="heading" aria-level="2"' in once
    assert '<pre tabindex="0">' in once
    assert 'aria-label="Pages"' in once
    assert mended(once) == once


@pytest.mark.parametrize("name", ["demo-pages", "made/suhw.report", "made/change.compare"])
@pytest.mark.parametrize("dark", [False, True])
def test_axe_finds_no_violation_in_the_built_pages(chromium, name, dark):
    axe = script_of("axe-core", "axe.min.js", "SPARSELRP_AXE").read_text()
    page = DOCS / "_build" / f"{name}.html"
    if not page.is_file():
        pytest.skip("the pages aren't built; `make docs` builds them")
    for wide in (390, 1280, 1920):
        chromium.show(wide, dark=dark)
        chromium.open(page.as_uri())
        chromium.value(f"{axe}; 0")
        found = chromium.value("axe.run(document).then((r) => r.violations.map((v) => v.id))")
        assert found == []
