"""Notebooks as pages: their cells are read as Markdown, and nothing is run."""

import json
from pathlib import PurePosixPath

from sphinx.application import Sphinx


def as_markdown(text: str, name: str) -> str:
    """Give the cells of a notebook as Markdown, with a link to the file under the title."""
    cells = [("".join(cell["source"]), cell["cell_type"]) for cell in json.loads(text)["cells"]]
    parts = [as_block(source) if kind == "code" else source for source, kind in cells]
    return "\n\n".join([parts[0], f"Open {{download}}`{name}` in Jupyter to run it.", *parts[1:]])


def as_block(source: str) -> str:
    """Give a cell as a block of code; one that begins with ! is a command of the shell."""
    return f"```{'sh' if source.startswith('!') else 'python'}\n{source}\n```"


def read(app: Sphinx, docname: str, source: list[str]) -> None:
    path = PurePosixPath(app.env.doc2path(docname, base=False))
    if path.suffix == ".ipynb":
        source[0] = as_markdown(source[0], path.name)


def setup(app: Sphinx) -> dict[str, bool]:
    # Before links are looked at.
    app.connect("source-read", read, priority=400)
    return {"parallel_read_safe": True}
