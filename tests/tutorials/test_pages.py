"""What holds of every tutorial page; each has a test of its own that follows it."""

import re
from pathlib import Path

import pytest

from tutorials.pages import FOLDER, TutorialPage

PAGES = sorted(path.name for path in FOLDER.glob("*.md"))
ROOT = FOLDER.parents[1]


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_short(name):
    assert len(TutorialPage.read(name).text.split()) < 600


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_followed_by_a_test(name):
    assert (Path(__file__).parent / f"test_{name.removesuffix('.md').replace('-', '_')}.py").is_file()


@pytest.mark.parametrize("name", PAGES)
def test_every_block_of_a_page_is_a_file_or_commands(name):
    fences = re.findall(r"^```(.*)$", TutorialPage.read(name).text, re.MULTILINE)
    assert all(re.fullmatch(r"sh|\w+ [\w.]+", opening) for opening in fences[::2])
    assert set(fences[1::2]) == {""}


@pytest.mark.parametrize("where", ["README.md", "docs/models.md", "docs/index.md"])
def test_every_page_is_linked(where):
    linked = re.findall(r"\]\((?:docs/)?tutorials/([\w-]+\.md)\)", (ROOT / where).read_text(encoding="utf-8"))
    assert sorted(set(linked)) == PAGES
