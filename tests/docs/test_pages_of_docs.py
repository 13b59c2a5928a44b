"""What holds of every page and of README: links lead somewhere, pages are short, none is forgotten."""

import json
import re
from pathlib import Path

import pytest

from docs.reading import DOCS, ROOT, anchor, headings, pages, shown_under

PAGES = pages()
OURS = sorted(set(PAGES) - set(shown_under()))
TABLES = {"architectures", "developers/adding", "developers/rooms", "glossary", "schemas", "python-reference"}
"""Pages to look things up in, which may be long."""
LONGEST = 620
LINK = re.compile(r"\]\((?!\w+:)([^)\s#]*)(?:#([^)\s]+))?\)")


def files() -> dict[str, Path]:
    """Every file whose links are looked at, by the name of its page."""
    elsewhere = shown_under()
    found = {"README": ROOT / "README.md"}
    for name in PAGES:
        path = DOCS / f"{name}.md"
        found[name] = ROOT / elsewhere[name] if name in elsewhere else path
        if not found[name].is_file():
            found[name] = DOCS / f"{name}.ipynb"
    return found


FILES = files()


@pytest.mark.parametrize("name", FILES)
def test_links_lead_to_files_and_headings(name):
    path = FILES[name]
    wrong = []
    for target, place in LINK.findall(path.read_text(encoding="utf-8")):
        found = (path.parent / target).resolve() if target else path
        if not found.exists():
            wrong.append(target)
        elif place and found.suffix == ".md":
            anchors = [anchor(heading) for heading in headings(found.read_text(encoding="utf-8"))]
            wrong += [f"{target}#{place}"] * (place not in anchors)
    assert wrong == []


@pytest.mark.parametrize("name", [name for name in OURS if name not in TABLES])
def test_a_page_is_short(name):
    text = PAGES[name]
    if text.startswith("{"):
        text = "\n".join(line for cell in json.loads(text)["cells"] for line in cell["source"])
    assert len(text.split()) <= LONGEST


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_one_title(name):
    text = PAGES[name]
    lines = text.splitlines() if not text.startswith("{") else re.findall(r'"(# [^"\\]+)', text)
    first = next(line for line in lines if line.strip())
    assert first.startswith("# "), "the first line is the title"


def test_every_page_is_in_the_contents_once():
    index = (DOCS / "index.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```\{toctree\}\n(.*?)```", index, re.DOTALL)
    listed = [line for block in blocks for line in block.splitlines() if line and not line.startswith(":")]
    assert sorted(listed) == sorted(set(PAGES) - {"index"})


def test_the_page_of_a_file_elsewhere_says_where_it_is():
    for name, file in shown_under().items():
        assert f"({'../' * (name.count('/') + 1)}{file})" in (DOCS / f"{name}.md").read_text(encoding="utf-8")


def test_the_readme_is_short_and_has_its_picture():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.split()) <= 600
    (picture,) = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).is_file()
    assert "10.1007/978-3-031-70359-1_20" in text
    assert "(docs/citing.md)" in text


def test_every_picture_of_the_pages_is_used():
    shown = "".join(PAGES.values())
    assert [path.name for path in (DOCS / "images").iterdir() if f"images/{path.name})" not in shown] == []


def test_pictures_are_small():
    assert max(path.stat().st_size for path in (DOCS / "images").iterdir()) < 100_000


def test_every_cell_about_other_tools_has_its_source():
    rows = re.findall(r"^\| (?!\*\*sparselrp)(\w.*) \|$", PAGES["comparison"].split("\n## ")[0], re.MULTILINE)
    assert len(rows) == 5
    for row in rows:
        name, *cells = row.split(" | ")
        assert [cell for cell in cells if "](https://" not in cell] == [], name
