"""The pages that the tool makes, in the built pages: the demo's report, and a comparison of the two models.

They are made by the commands that the page `demo-pages` shows, from what is shipped, and kept beside the
built pages until the package or what is shipped changes.
"""

import hashlib
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
PAGE = DOCS / "demo-pages.md"
MADE = ("demo/suhw.report.html", "demo/change.compare.html")
"""What the commands make and the built pages hold, below `FOLDER`."""
FOLDER = "made"
LARGEST = 800_000
"""Bytes of one of them."""
SOURCES = ("sparselrp_cli", "models", "data")
logger = logging.getLogger(__name__)


def commands() -> list[list[str]]:
    """Give the commands of the page, as a shell would split them, each without `sparselrp`."""
    lines = re.findall(r"^    sparselrp (.+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return [shlex.split(line) for line in lines]


def digest(root: Path = ROOT) -> str:
    """Give what changes with the page's commands, the package, and what is shipped with it."""
    found = hashlib.sha256(repr(commands()).encode())
    for path in sources(root):
        found.update(path.relative_to(root).as_posix().encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def sources(root: Path) -> Iterator[Path]:
    """Give the files that the pages are made of, in order."""
    for name in SOURCES:
        for path in sorted((root / name).rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def kept(place: Path) -> Path:
    """Give a folder with the pages, made anew where it isn't of today's sources.

    Parameters
    ----------
    place : Path
        Where it is kept.
    """
    mark, now = place / "digest", digest()
    if mark.is_file() and mark.read_text() == now and all((place / name).is_file() for name in MADE):
        return place
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for words in commands():
        logger.info("sparselrp %s", shlex.join(words))
        subprocess.run(
            [sys.executable, "-m", "sparselrp_cli", *words, "-q"], cwd=place, env=environment, check=True,
            stdout=subprocess.DEVNULL,
        )  # fmt: skip
    mark.write_text(now)
    return place


def put_pages(app: Sphinx, error: Exception | None) -> None:
    """Put the pages beside those that were built."""
    if error is not None or app.builder.format != "html":
        return
    made = kept(Path(app.outdir) / ".demo")
    for name in MADE:
        target = Path(app.outdir) / FOLDER / Path(name).name
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(made / name, target)
        if target.stat().st_size > LARGEST:
            logger.warning("%s is larger than %d bytes", target.name, LARGEST)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", put_pages)
    return {"parallel_read_safe": True}
