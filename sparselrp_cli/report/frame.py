"""What all pages have in common: style, script, the policy that lets these run, how text is put in."""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined

from sparselrp_cli.report.drawing import glyphs
from sparselrp_cli.report.embedding import as_json, digest

SHARED = ("numbers.js", "view.js", "table.js")


def render(template: str, script: str, data: Mapping[str, Any], values: Mapping[str, Any]) -> str:
    """Write a page: self-contained, with a script and a style that alone may work in it.

    Parameters
    ----------
    template, script : str
        Files of this room.
    data : mapping
        What the script shows, as JSON.
    values : mapping
        What the template names.
    """
    outlines = glyphs()
    own = _own_parts((*SHARED, script))
    return (
        _environment()
        .get_template(template)
        .render({**values, **own, "glyphs": outlines, "data": as_json({**data, "glyphs": outlines})})
    )


def _own_parts(scripts: Sequence[str]) -> dict[str, str]:
    """Give the page's style and script, and the policy that lets these run and nothing else."""
    style = _text("page.css")
    script = "\n".join(['"use strict";', "(() => {", *map(_text, scripts), "})();", ""])
    policy = (
        f"default-src 'none'; img-src data:; style-src {digest(style)}; script-src {digest(script)};"
        " base-uri 'none'; form-action 'none'"
    )
    return {"style": style, "script": script, "policy": policy}


def _environment() -> Environment:
    environment = Environment(
        loader=FunctionLoader(_text), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    environment.filters["of"] = lambda count, one, several: f"{count:,} {one if count == 1 else several}"
    environment.filters["short"] = lambda value: f"{value:.3g}"
    return environment


def _text(name: str) -> str:
    return files("sparselrp_cli.report").joinpath(name).read_text(encoding="utf-8")
