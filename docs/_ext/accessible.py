"""What the theme leaves out for readers without a mouse or a screen, put into the built pages."""

from pathlib import Path

from sphinx.application import Sphinx

MENDED = {
    # A heading has a level.
    '<p class="caption" role="heading">': '<p class="caption" role="heading" aria-level="2">',
    # What scrolls can be reached by keys.
    "<pre>": '<pre tabindex="0">',
    # Landmarks of one kind have names of their own.
    '<aside class="sidebar-drawer">': '<aside class="sidebar-drawer" aria-label="Pages">',
    '<aside class="toc-drawer">': '<aside class="toc-drawer" aria-label="On this page">',
    '<aside class="toc-drawer no-toc">': '<aside class="toc-drawer no-toc" aria-label="On this page">',
}


def mended(text: str) -> str:
    """Give the text of a built page with what the theme leaves out; a second time it changes nothing."""
    for old, new in MENDED.items():
        text = text.replace(old, new)
    return text


def mend_pages(app: Sphinx, error: Exception | None) -> None:
    if error is not None or app.builder.format != "html":
        return
    for docname in app.env.found_docs:
        path = Path(app.builder.get_outfilename(docname))
        if path.is_file() and (new := mended(text := path.read_text(encoding="utf-8"))) != text:
            path.write_text(new, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", mend_pages)
    return {"parallel_read_safe": True}
