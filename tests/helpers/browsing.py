"""A browser without a window, and scripts of others that are run in it, where they are at hand."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.browser import Browser, found_browser

ROOT = Path(__file__).parents[2]
_MODULES = (ROOT / "node_modules", Path("/usr/lib/node_modules"), Path("/usr/local/lib/node_modules"))


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A Chromium, started once for a module."""
    program = found_browser()
    if program is None:
        pytest.skip("no Chromium is installed, in which the page would be opened")
    with Browser(program, tmp_path_factory.mktemp("profile")) as browser:
        yield browser


def script_of(package: str, file: str, variable: str) -> Path:
    """Find a script of an npm package: where a variable says, or where npm puts packages."""
    named = os.environ.get(variable)
    places = [Path(named)] if named else [modules / package / file for modules in _MODULES]
    for place in places:
        if place.is_file():
            return place
    reason = f"{named} isn't there" if named else f"name the file in {variable}, or install it with npm"
    pytest.skip(f"no {package}: {reason}")
