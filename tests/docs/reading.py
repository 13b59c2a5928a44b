"""The pages of docs/ as a reader meets them."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def shown_under() -> dict[str, str]:
    """Pages of docs/ that show a file elsewhere, and these files; as the pages are built."""
    tree = ast.parse((DOCS / "_ext" / "elsewhere.py").read_text(encoding="utf-8"))
    (table,) = (
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "PAGES"
    )
    return {page: file for file, page in ast.literal_eval(table).items()}


def pages() -> dict[str, str]:
    """The text of each page, by its name below docs/ without the ending."""
    elsewhere = shown_under()
    found = {}
    for path in sorted([*DOCS.rglob("*.md"), *DOCS.rglob("*.ipynb")]):
        if "_build" not in path.parts:
            name = path.relative_to(DOCS).with_suffix("").as_posix()
            source = ROOT / elsewhere[name] if name in elsewhere else path
            found[name] = source.read_text(encoding="utf-8")
    return found


def without_code(text: str) -> str:
    """A text without its blocks of code and its comments."""
    text = re.sub(r"^(```|:::).*?^\1$", "", text, flags=re.DOTALL | re.MULTILINE)
    return re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)


def headings(text: str) -> list[str]:
    return re.findall(
        r"^#+ (.+)$", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE), re.MULTILINE
    )


def stressed(text: str) -> list[str]:
    """What a reader's eye finds: headings, bold words, and first cells of tables."""
    bold = re.findall(r"\*\*(.+?)\*\*", text, re.DOTALL)
    return [*headings(text), *bold, *re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)]


def anchor(heading: str) -> str:
    """The name by which a heading is linked, as GitHub and MyST make it."""
    plain = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", lambda m: m[1] or "", heading).lower()
    return re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
