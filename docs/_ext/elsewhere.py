"""Pages that lie elsewhere in the repository, and links that leave docs/.

In the repository a link leads to a file, so that pages can be read there as they are. In the built pages it
has to lead to a page: what `PAGES` names is shown under that name, and what it doesn't name is plain text.
"""

import os
import re
from pathlib import Path, PurePosixPath

from sphinx.application import Sphinx

DOCS = Path(__file__).parents[1]
ROOT = DOCS.parent
PAGES = {
    "benchmarks/RESULTS.md": "evidence",
    "workflow/README.md": "workflow",
    "models/suhw-dm3/README.md": "shipped/suhw-dm3",
    "models/insulators-dm3/README.md": "shipped/insulators-dm3",
    "data/README.md": "shipped/data",
    "CONTRIBUTING.md": "contributing",
    "CODE_OF_CONDUCT.md": "conduct",
    "CHANGELOG.md": "changelog",
}
"""Files elsewhere, and the pages of docs/ that show them."""
FILES = {page: file for file, page in PAGES.items()}
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!\w+:)([^)\s#]*)(#[^)\s]*)?\)")


def show_file(app: Sphinx, docname: str, source: list[str]) -> None:
    """Put the text of a file elsewhere in the place of its page, and mend the links of any page."""
    path = ROOT / FILES[docname] if docname in FILES else DOCS / f"{docname}.md"
    text = path.read_text(encoding="utf-8") if docname in FILES else source[0]
    source[0] = with_links_of(text, path.parent, PurePosixPath(docname).parent)


def with_links_of(text: str, folder: Path, place: PurePosixPath) -> str:
    """Give a text whose links suit the built pages.

    Parameters
    ----------
    text : str
    folder : Path
        Where the file lies that the links are written for.
    place : PurePosixPath
        In which folder of docs/ it is shown.
    """

    def mended(link: re.Match[str]) -> str:
        image, words, target, anchor = link[1], link[2], link[3], link[4] or ""
        if not target:
            return link[0]
        found = (folder / target).resolve()
        if (page := page_of(found)) is not None:
            return f"{image}[{words}]({os.path.relpath(page, place)}{anchor})"
        if image:
            return f"![{words}]({os.path.relpath(found, DOCS / place)})"
        return words

    return LINK.sub(mended, text)


def page_of(path: Path) -> str | None:
    """Give the page, a file of docs/, that shows a file of the repository."""
    inside = path.relative_to(ROOT).as_posix()
    for name in (inside, f"{inside}/README.md"):
        if name in PAGES:
            return f"{PAGES[name]}.md"
    return path.relative_to(DOCS).as_posix() if path.is_relative_to(DOCS) else None


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", show_file)
    return {"parallel_read_safe": True}
