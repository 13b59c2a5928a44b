"""Memory and processor time of each kind of input at its worst, each with its limit.

    python -m benchmarks.robustness.bounds --save
    python -m benchmarks.robustness.bounds --share 0.01     # a hundredth of each size; the limits stay
    python -m benchmarks.robustness.bounds --input gzip --save   # some; the others stay as they were kept

Each input is read in a process of its own, to its end or to the line that refuses it. Limits are for the
machine of the record: of memory the peak of the whole process, Python and its modules included.
"""

import argparse
import gzip
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper

MB = 1_000_000
READERS = """
import logging
import sys
from sparselrp_cli.errors import SparselrpError

logging.disable()
kind, path = sys.argv[1:]
try:
    if kind == "regions":
        from sparselrp_cli.sequences.regions import read_regions
        done = sum(1 for _ in read_regions(path))
    elif kind == "records":
        from sparselrp_cli.sequences.fasta import read_records
        done = sum(1 for _ in read_records(path))
    elif kind == "genome":
        from sparselrp_cli.sequences.genome import Genome
        with Genome(path) as genome:
            done = len(genome.chrom_sizes)
    elif kind == "variants":
        from sparselrp_cli.sequences.variants import read_variants
        done = sum(1 for _ in read_variants(path))
    elif kind == "motifs":
        from sparselrp_cli.motifs.formats import read_motif_file
        done = len(read_motif_file(path).motifs)
    else:
        from types import SimpleNamespace
        from sparselrp_cli.runs.composite_file import find_composite
        layers = [SimpleNamespace(module="encoder." * 100 + str(i), name=f"n{i}") for i in range(200)]
        entries = find_composite(path).entries
        done = sum(entry.fits(layer, frozenset()) for entry in entries for layer in layers)
    print(f"read {done}")
except SparselrpError as error:
    print(error)
with open("/proc/self/status") as status:  # what wait4 says has this process's own parent in it
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")))
"""


@dataclass(frozen=True, slots=True)
class Worst:
    """An input at its worst.

    Attributes
    ----------
    name : str
    kind : str
        What reads it.
    parts : function of the share
        Of the file, as pieces and how often each is repeated.
    packed : bool
        With gzip.
    mib, seconds : float
        The limits: peak of memory, processor time.
    """

    name: str
    kind: str
    parts: Callable[[float], Iterable[bytes]]
    mib: int
    seconds: float
    packed: bool = False


def repeated(head: bytes, line: bytes, times: int, tail: bytes = b"") -> Callable[[float], Iterable[bytes]]:
    """Give the pieces of a file whose line is repeated."""

    def pieces(share: float) -> Iterable[bytes]:
        yield head
        left, block = max(1, int(times * share)), 10_000
        while left:
            yield line * min(left, block)
            left -= min(left, block)
        yield tail

    return pieces


def numbered(head: bytes, line: str, times: int) -> Callable[[float], Iterable[bytes]]:
    """Give the pieces of a file whose lines carry their number, as ``{i}``."""

    def pieces(share: float) -> Iterable[bytes]:
        yield head
        n = max(1, int(times * share))
        for first in range(0, n, 10_000):
            yield "".join(line.format(i=i) for i in range(first, min(n, first + 10_000))).encode()

    return pieces


VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"
MOTIF = "MOTIF m{i}\nletter-probability matrix: alength= 4 w= 6\n" + "0.25 0.25 0.25 0.25\n" * 6
SITE = b"chr1\t5\t.\tA\t"
HEAD = b"MEME version 4\n\nALPHABET= ACGT\n\n"
PATTERN = b'[[rule]]\nrule = "epsilon"\nname = "'
RULE = PATTERN + b'*e*n*c*o*d*e*r*x"\n'
WORST = (
    Worst("10^7 regions", "regions", numbered(b"", "chr1\t{i}\t1{i}\n", 10 * MB), 300, 120),
    Worst("5 million records", "records", numbered(b"", ">r{i}\nACGT\n", 5 * MB), 1000, 60),
    Worst("a genome of 5 million records", "genome", numbered(b"", ">r{i}\nACGT\n", 5 * MB), 4000, 120),
    Worst("10,000 alleles", "variants", repeated(VCF + SITE, b"C" * 500 + b",", 9_999, b"C\n"), 300, 10),
    Worst("a million variants", "variants", numbered(VCF, "chr1\t1{i}\t.\tA\tC\n", MB), 300, 30),
    Worst("100,000 motifs", "motifs", numbered(HEAD, MOTIF, 100_000), 1000, 60),
    Worst("100,000 motifs of one name", "motifs", repeated(b"", b">a\n1 0 0 0\n", 100_000), 1000, 60),
    Worst("a gzip bomb of regions", "regions", repeated(b"", b"chr1\t1\t2\n", 100 * MB), 300, 120, True),
    Worst("a gzip bomb of blank lines", "regions", repeated(b"", b"\n", 900 * MB), 300, 10, True),
    Worst("a gzip bomb of FASTA", "records", repeated(b">a\n", b"A" * 60 + b"\n", 15 * MB), 1500, 60, True),
    Worst("a gzip bomb of motifs", "motifs", repeated(b"", b">a\n1 0 0 0\n", 40 * MB), 400, 10, True),
    Worst("a pattern of 1 MiB", "composite", repeated(PATTERN, b"*n.", 340_000, b'"\n'), 1000, 60),
    Worst("20,000 patterns", "composite", repeated(b"", RULE, 20_000), 1000, 120),
)


def write(worst: Worst, path: Path, share: float) -> None:
    """Write an input."""
    with gzip.open(path, "wb", 6) if worst.packed else path.open("wb") as file:
        for piece in worst.parts(share):
            file.write(piece)


def measure(worst: Worst, folder: Path, share: float) -> dict[str, object]:
    """Read an input in a process of its own, and give what it took."""
    path = folder / f"in.txt{'.gz' if worst.packed else ''}"
    write(worst, path, share)
    began = time.perf_counter()
    child = subprocess.Popen(
        [sys.executable, "-c", READERS, worst.kind, str(path)],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
    )  # fmt: skip
    assert child.stdout is not None
    said, _, peak = child.stdout.read().strip().rpartition("\n")
    _, status, used = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    row = {
        "input": worst.name,
        "share": share,
        "bytes": path.stat().st_size,
        "said": said[:200],
        "exit code": child.returncode,
        "peak MiB": int(peak) >> 10 if peak.isdecimal() else None,
        "limit MiB": worst.mib,
        "processor s": round(used.ru_utime + used.ru_stime, 2),
        "limit s": worst.seconds,
        "seconds": round(time.perf_counter() - began, 2),
    }
    for left in folder.iterdir():
        left.unlink()
    return row


def is_within(row: dict[str, object]) -> bool:
    """Whether an input was read, or refused in a line, within its limits."""
    if row["exit code"] or row["peak MiB"] is None or "\n" in str(row["said"]):
        return False
    pairs = (("peak MiB", "limit MiB"), ("processor s", "limit s"))
    return all(float(str(row[used])) <= float(str(row[limit])) for used, limit in pairs)


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--share", type=float, default=1.0, help="of each size")
    found.add_argument(
        "--input", action="append", default=[], metavar="TEXT", help="only with this in the name"
    )
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    given = options().parse_args(arguments)
    keeper = Keeper.start("bounds", given, torch.device("cpu"))
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for worst in WORST:
            if given.input and not any(text in worst.name for text in given.input):
                continue
            row = measure(worst, Path(name), given.share)
            print("ok   " if is_within(row) else "WRONG", json.dumps(row), flush=True)
            rows.append(row)
    keeper.keep_beside({"inputs": rows}, "input") if given.input else keeper.keep({"inputs": rows})
    return int(not all(map(is_within, rows)))


if __name__ == "__main__":
    sys.exit(main())
