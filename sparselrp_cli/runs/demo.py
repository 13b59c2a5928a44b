"""The demo: shipped windows explained with a shipped model, by commands that anyone can repeat."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.atomic import HIDDEN, replacing, reported
from sparselrp_cli.files.shipped import shipped
from sparselrp_cli.motifs.discovery import can_find_motifs

MODEL = "suhw-dm3"
WINDOWS, DATABASE, MATRIX = "suhw-windows.fa", "jaspar2026-insects.meme", "suhw-MA0533.1.jaspar"
FILES = (WINDOWS, DATABASE, MATRIX)
NAME = "suhw"
PAGE = f"{NAME}.report.html"
"""What a demo writes last."""


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the demo.

    Attributes
    ----------
    why : str
        What it is for, in a few words.
    arguments : tuple of str
        Of `sparselrp`.
    """

    why: str
    arguments: tuple[str, ...]


def put_demo_files(folder: Path) -> None:
    """Copy the shipped windows and motifs to a folder, where commands that are copied find them.

    Raises
    ------
    OutputError
        If something is in the folder already, but for what a demo left that broke off; or it can't be
        written.
    """
    with reported(folder):
        if folder.is_dir() and not _has_broken_off([path.name for path in folder.iterdir()]):
            page = folder / PAGE
            raise OutputError(
                f"{folder} has a demo already: open {page}, or name another folder with -o"
                if page.is_file()
                else f"{folder} isn't empty, and the demo overwrites nothing; name another folder with -o"
            )
        folder.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        with replacing(folder / name) as hidden:
            shutil.copyfile(shipped(f"data/{name}"), hidden)


def _has_broken_off(names: Sequence[str]) -> bool:
    """Whether names are of files of a demo that isn't at its end."""
    return PAGE not in names and all(
        name in FILES or name.startswith((f"{NAME}.", f"{NAME}_", HIDDEN)) for name in names
    )


def demo_steps(folder: Path) -> list[Step]:
    """Give the commands of the demo, in their order; without motifs where their packages are missing."""
    prefix, page = str(folder / NAME), str(folder / PAGE)
    windows, database, matrix = (str(folder / name) for name in FILES)
    begun = folder.is_dir() and any(path.name.endswith(".partial") for path in folder.iterdir())
    explain = ("attribute", windows, "-m", MODEL, "-o", prefix, *(["--resume"] if begun else []))
    if can_find_motifs():
        steps = [
            Step("explain the windows, find motifs, write the report",
                 (*explain, "--report", "--database", database)),
        ]  # fmt: skip
    else:
        steps = [
            Step("explain the windows", explain),
            Step("write the report", ("report", f"{prefix}.h5", "-o", page)),
        ]
    known = ("evaluate", f"{prefix}.h5", "--motif", matrix, "--min-score", "0")
    return [*steps, Step("compare with matches of su(Hw)'s known matrix, in windows called positive", known)]


def demo_results(folder: Path) -> list[tuple[Path, str]]:
    """Say where to look: the files worth opening that are there, and what each shows."""
    prefix = folder / NAME
    said = {
        ".report.html": "open this first, in a browser: quality, motifs, the best windows in letters",
        ".motifs.tsv": "the motifs, with their names in JASPAR and q-values",
        ".hits.bed": "where they are in the windows",
        ".windows.tsv": "score, relevance, background and what was absorbed, for every window",
        ".bedgraph.gz": "relevance by base; with a genome and -r it is a bigWig",
        ".h5": "the archive, of which all other files are made",
        ".manifest.json": "what was run on what",
    }
    places = [(prefix.with_name(f"{prefix.name}{ending}"), text) for ending, text in said.items()]
    return [(place, text) for place, text in places if place.is_file()]
