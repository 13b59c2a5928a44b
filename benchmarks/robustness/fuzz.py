"""Fuzzed input of every kind: a result or one clear line each, in bounded time and memory, no stray file.

python -m benchmarks.robustness.fuzz --examples 10000 --save
python -m benchmarks.robustness.fuzz --kind archive --first 4711 --examples 1      # one that failed, again
"""

import argparse
import logging
import resource
import signal
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from shutil import rmtree
from types import ModuleType
from typing import Any

import torch

from benchmarks.history import ROOT
from benchmarks.options import parser
from benchmarks.record import Keeper

SECONDS = 20


def too_long(*_: Any) -> None:
    """Stop an example."""
    raise TimeoutError(f"more than {SECONDS} s")


def fuzzing() -> ModuleType:
    """The tests' ways to damage input: of each kind, seeds and one example by its number."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hostile import fuzzing

    return fuzzing


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument("--examples", type=int, default=10_000)
    found.add_argument("--first", type=int, default=1000, help="number of the first example of each kind")
    found.add_argument("--kind", help="only one kind of input, such as fasta or archive")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    """Fuzz and count."""
    given = options().parse_args(arguments)
    keeper = Keeper.start("fuzz", given, torch.device("cpu"))
    ways = fuzzing()
    if given.kind and given.kind not in ways.KINDS:
        raise SystemExit(f"--kind {given.kind} isn't one of {', '.join(ways.KINDS)}")
    warnings.simplefilter("ignore")
    logging.getLogger("sparselrp").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGALRM, too_long)
    kinds = [given.kind] if given.kind else list(ways.KINDS)
    counts: dict[str, Counter[str]] = {kind: Counter() for kind in kinds}
    slowest, failures = (0.0, ""), 0
    with tempfile.TemporaryDirectory() as name:
        seeds = Path(name) / "seeds"
        seeds.mkdir()
        ways.make_seeds(seeds)
        start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for i in range(given.examples):
            kind, number = kinds[i % len(kinds)], given.first + i // len(kinds)
            folder = Path(name) / "example"
            signal.alarm(SECONDS)
            began = time.perf_counter()
            try:
                counts[kind][ways.run_one(kind, number, seeds, folder)] += 1
            except BaseException as error:  # noqa: BLE001 - whatever comes is what we look for
                failures += 1
                counts[kind]["FAILED"] += 1
                where = traceback.extract_tb(error.__traceback__)[-1]
                print(
                    f"{kind} {number}: {type(error).__name__}: {error} ({where.filename}:{where.lineno})"[
                        :400
                    ]
                )
            signal.alarm(0)
            slowest = max(slowest, (time.perf_counter() - began, f"{kind} {number}"))
            rmtree(folder, ignore_errors=True)
        grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - start) >> 10
    for kind, found in counts.items():
        print(f"{kind:12s}", dict(found.most_common()))
    print(f"slowest {slowest[0]:.2f} s ({slowest[1]}); memory grew by {grown} MiB; {failures} failures")
    run = {"examples": given.examples, "slowest_s": slowest[0], "grown_mib": grown, "failures": failures}
    keeper.keep(
        {"run": [run], "kinds": [{"kind": kind, "outcomes": found} for kind, found in counts.items()]}
    )
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
