"""Pages as a browser shows them, where there is one."""

from pathlib import Path

import pytest


@pytest.fixture
def opened(chromium):
    """Open a page and give its document as it is when its scripts are done."""

    def open_page(page: Path, after: str = "") -> str:
        chromium.open(f"{page.as_uri()}{after}")
        return chromium.value("'<!DOCTYPE html>' + document.documentElement.outerHTML")

    return open_page
