"""Do an experiment by its name and refresh RESULTS.md; without a name, list them.

    make evidence                                    python -m benchmarks.evidence
    make evidence NAME=synthetic                     python -m benchmarks.evidence synthetic
    make evidence NAME=synthetic OPTIONS="--seeds 5"

What stands after the name is given to the script.
"""

import argparse
import difflib
import subprocess
import sys
from collections.abc import Sequence

from benchmarks.evidence import page
from benchmarks.experiments import BY_NAME, EXPERIMENTS, Experiment
from benchmarks.history import ROOT


def listed() -> str:
    """The names, and what they are."""
    width = max(map(len, BY_NAME))
    return "\n".join(f"{e.name:{width}}  {e.about}{takes(e)}" for e in EXPERIMENTS)


def takes(experiment: Experiment) -> str:
    return f" ({experiment.takes} on two cores)" if experiment.takes else ""


def command(experiment: Experiment, more: Sequence[str]) -> list[str]:
    """What does an experiment and keeps its figures."""
    module = f"benchmarks.{experiment.module}"
    return [sys.executable, "-m", module, "--save", *experiment.arguments, *more]


def options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    found.add_argument("name", nargs="?", help="of an experiment")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given, more = options().parse_known_args(arguments)
    if given.name is None:
        print(listed())
        return
    if given.name not in BY_NAME:
        near = difflib.get_close_matches(given.name, BY_NAME)
        hint = f"did you mean {' or '.join(near)}? " if near else ""
        raise SystemExit(f"no experiment is named '{given.name}'; {hint}`make evidence` lists them")
    done = subprocess.run(command(BY_NAME[given.name], more), cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit(done.returncode)
    page.main([])


if __name__ == "__main__":
    main()
