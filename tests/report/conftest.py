"""A browser without a window, where there is one."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome-headless-shell")
LONGEST = 60


def found_browser() -> str | None:
    named = next(filter(None, map(shutil.which, NAMES)), None)
    kept = sorted(Path.home().glob(".cache/ms-playwright/chromium-*/chrome-linux*/chrome"))
    return named or next(map(str, kept), None)


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    """Open a page and give its document as it is when its scripts are done."""
    browser = found_browser()
    if browser is None:
        pytest.skip("no Chromium is installed, in which the page would be opened")
    profile = tmp_path_factory.mktemp("profile")
    # Chromium's own sandbox can't be set up by root, as in containers.
    as_root = ["--no-sandbox"] if os.geteuid() == 0 else []

    def open_page(page: Path, after: str = "") -> str:
        found = subprocess.run(
            [browser, "--headless=new", *as_root, "--disable-gpu", "--no-first-run",
             f"--user-data-dir={profile}", "--virtual-time-budget=3000", "--dump-dom",
             f"{page.as_uri()}{after}"],
            capture_output=True, text=True, timeout=LONGEST, check=True,
        )  # fmt: skip
        return found.stdout

    return open_page
