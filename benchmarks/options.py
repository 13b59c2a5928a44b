"""Options that several benchmarks have."""

import argparse
import os
from pathlib import Path


def parser(description: str | None) -> argparse.ArgumentParser:
    """Make a parser that describes the script by its docstring, with where the figures are kept."""
    options = argparse.ArgumentParser(description=description, formatter_class=argparse.RawTextHelpFormatter)
    options.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    options.add_argument("--out", type=Path, metavar="DIR", help="keep the figures in this folder instead")
    return options


def timing_parser(description: str | None, rounds: int = 7) -> argparse.ArgumentParser:
    """Make a parser of what is timed: rounds and device too."""
    options = parser(description)
    options.add_argument(
        "--rounds",
        type=int,
        default=rounds,
        help="each is timed so often, in turns (default: %(default)s)",
    )
    options.add_argument("--device", default="cpu", help="cpu, cuda, cuda:1 ... (default: cpu)")
    return options


def add_cispliceai(options: argparse.ArgumentParser) -> None:
    """Add where CI-SpliceAI is, which isn't shipped."""
    options.add_argument(
        "--cispliceai", nargs="+", metavar=("FOLDER", "FASTA JUNCTIONS"),
        default=list(filter(None, os.environ.get("SPARSELRP_CISPLICEAI", "").split(os.pathsep))),
        help="CI-SpliceAI's imported folder, on windows with planted donors; with the two files of\n"
        "evidence/splice_sites.py on real ones (default: $SPARSELRP_CISPLICEAI, joined by "
        f"'{os.pathsep}')",
    )  # fmt: skip
