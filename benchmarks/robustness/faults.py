"""Faults at every call that writes, and kills at random moments, of every command that writes files.

    python -m benchmarks.robustness.faults --save                       # every k of every command: hours
    python -m benchmarks.robustness.faults --command export --kills 4   # one command, fewer kills
    python -m benchmarks.robustness.faults --at-most 5 --kills 5        # five calls of each kind, drawn

As SQLite is tested: a command is run once to count its calls to write, fsync, rename, open, truncate and
close beneath its folder. Then the k-th of each kind fails, for every k: no space (from then on), an I/O
error, an interrupted call, a short write. Native writers are hit as Python is, see faults.c. At the k-th call
comes SIGTERM or SIGKILL, too. After each one:

* exit code 0 means that all files have the bytes of an undisturbed run; 1 comes with one line that names a
  file and the cause; nothing else comes;
* every final name holds the file of this run, or of the one that was there before; nothing hidden is left;
* a record, such as PREFIX.manifest.json, lists files that are there as it lists them, or isn't there;
* the same command, with --resume where it has kept work, then gives the bytes of an undisturbed run. Of
  faults that leave the same bytes in the same files it is run again after the first.

Each run is forked from this process, which has loaded the libraries. What --report starts is forked, too.
What was done for the code of a commit is kept, and isn't done again: a sweep that was stopped goes on.
"""

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from benchmarks.options import parser
from benchmarks.record import Keeper
from benchmarks.robustness.failing_disk import CALLS, LIBRARY, FailingDisk, Fault, why_not, with_failing_disk
from benchmarks.robustness.fault_bench import WRONG, Bench
from benchmarks.robustness.fault_commands import Inputs, trials
from benchmarks.robustness.fault_units import CALLS as COUNTED
from benchmarks.robustness.fault_units import Kept, Row, Unit, folder_of_this_code, units
from benchmarks.robustness.forked import prepare

MODULE = "benchmarks.robustness.faults"


def options() -> argparse.ArgumentParser:
    found = parser(__doc__)
    found.add_argument(
        "--command", action="append", default=[], metavar="NAME", help="only this one; repeatable"
    )
    found.add_argument("--at-most", type=int, metavar="N", help="calls of a kind, drawn (default: all)")
    found.add_argument("--call", choices=CALLS, action="append", default=[], help="only calls of this kind")
    found.add_argument("--kills", type=int, default=50, help="of each command, with each signal")
    found.add_argument("--seed", type=int, default=0)
    found.add_argument(
        "--minutes", type=float, metavar="N", help="begin nothing after these; keep what there is"
    )
    found.add_argument("--anew", action="store_true", help="do again what was done for this code")
    found.add_argument("--list", action="store_true", help="count the calls of each command, and do no more")
    return found


def numbers(unit: Unit, count: int, command: str) -> Sequence[int]:
    """Number the calls that shall fail: all, or some."""
    if unit.times is None or count <= unit.times:
        return range(count)
    return sorted(unit.chance(command).sample(range(count), unit.times))


def try_unit(bench: Bench, unit: Unit) -> Row:
    """Inject one kind of fault into a command, or kill it at random moments."""
    bench.outcomes.clear()
    bench.problems.clear()
    start = time.perf_counter()
    if isinstance(unit.what, Fault):
        for at in numbers(unit, bench.counts[unit.what.call], bench.trial.name):
            bench.inject(unit.what, at)
    else:
        bench.kill_often(unit.what, unit.times or 0, unit.chance(bench.trial.name))
    return {
        "key": unit.key,
        "fault": unit.name,
        "outcomes": dict(sorted(bench.outcomes.items())),
        "problems": list(bench.problems),
        "seconds": round(time.perf_counter() - start, 1),
    }


def try_command(bench: Bench, given: argparse.Namespace, inputs: Inputs, kept: Kept) -> Iterator[Row]:
    """Give the counts of calls, and what came of each unit: what is kept, and the others tried now."""
    wanted = units(given.call, given.at_most, given.kills, given.seed) if not given.list else []
    done = {} if given.anew else kept.rows()
    todo = [unit for unit in wanted if unit.key not in done]
    if (todo and time.monotonic() < given.end) or COUNTED not in done:
        bench.begin(inputs)
        done[COUNTED] = {"key": COUNTED, "counts": bench.counts}
        kept.add(done[COUNTED])
    print(f"{bench.trial.name}: {bench.seconds:.2f} s, {done[COUNTED]['counts']}", flush=True)
    for unit in todo:
        if time.monotonic() > given.end:
            break
        done[unit.key] = try_unit(bench, unit)
        print(f"  {unit.name}: {done[unit.key]['outcomes']}, {done[unit.key]['seconds']} s", flush=True)
        kept.add(done[unit.key])
    yield done[COUNTED]
    for unit in wanted:
        if unit.key in done:
            yield done[unit.key]


def rows(command: str, found: Sequence[Row]) -> Iterator[dict[str, object]]:
    for row in found:
        for outcome, number in row["outcomes"].items():
            yield {"command": command, "fault": row["fault"], "outcome": outcome, "times": number}


def summary(command: str, found: Sequence[Row], of: int) -> dict[str, object]:
    """Sum up a command: units of how many, faults at calls, kills at random moments, and what was wrong."""
    tried = [(row["fault"], sum(row["outcomes"].values())) for row in found]
    return {
        "command": command,
        "units": len(found),
        "of": of,
        "faults": sum(number for name, number in tried if " at " in name),
        "kills": sum(number for name, number in tried if " at " not in name),
        "wrong": sum(row["outcomes"].get(WRONG, 0) for row in found),
        "seconds": round(sum(row["seconds"] for row in found)),
    }


def main(arguments: Sequence[str] | None = None) -> int:
    typed = list(sys.argv[1:] if arguments is None else arguments)
    given = options().parse_args(typed)
    given.end = time.monotonic() + (float("inf") if given.minutes is None else 60 * given.minutes)
    if reason := why_not():
        print(f"nothing was injected: {reason}")
        return 0
    if LIBRARY not in os.environ:
        return with_failing_disk(MODULE, typed)
    keeper = Keeper.start("faults", given, torch.device("cpu"))
    fast = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # a real disk's syncs take most of the time
    folder = Path(tempfile.mkdtemp(prefix="sparselrp-faults-", dir=fast))
    try:
        return try_commands(given, keeper, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def try_commands(given: argparse.Namespace, keeper: Keeper, folder: Path) -> int:
    (folder / "given").mkdir()
    inputs = Inputs.written(folder / "given")
    known = trials(inputs, folder / "work")
    if unknown := [name for name in given.command if name not in known]:
        raise SystemExit(f"--command {unknown[0]} isn't one of {', '.join(known)}")
    os.environ |= {"SPARSELRP_CACHE_DIR": str(folder / "work/cache"), "TMPDIR": str(folder / "work/tmp")}
    prepare(inputs.folder)
    disk, place = FailingDisk(), folder_of_this_code()
    number = len(units(given.call, given.at_most, given.kills, given.seed))
    tables: dict[str, list[dict[str, object]]] = {"calls": [], "runs": [], "faults": []}
    for name in given.command or known:
        bench = Bench(disk, known[name], folder)
        counted, *found = try_command(bench, given, inputs, Kept.of(name, place))
        tables["calls"].append({"command": name, **counted["counts"]})
        tables["runs"].append(summary(name, found, number))
        tables["faults"] += rows(name, found)
        keeper.keep_so_far(tables)
    for run in tables["runs"]:
        print(
            "{command:20s} {faults:6d} faults {kills:4d} kills {wrong:4d} wrong {seconds:6d} s,"
            " {units} of {of} kinds".format(**run)
        )
    wrong = sum(int(str(run["wrong"])) for run in tables["runs"])
    if not given.list:
        keeper.keep_beside(tables, "command") if given.command else keeper.keep(tables)
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
