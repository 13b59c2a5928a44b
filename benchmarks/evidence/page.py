"""Fill RESULTS.md and draw its plots from the figures kept in benchmarks/results/; say how old they are.

    python -m benchmarks.evidence.page            seconds; what was saved is what the page says
    python -m benchmarks.evidence.page --check    name the figures that are older than the code they speak of

The check ends with 1 if there are any, and writes nothing.
"""

import argparse
import re
from collections.abc import Callable, Sequence

from benchmarks.evidence.ages import SHORT, Age, age_rows, all_ages
from benchmarks.evidence.plot import draw
from benchmarks.evidence.tables import FAITHFUL, TABLES, markdown
from benchmarks.experiments import BY_NAME, EXPERIMENTS
from benchmarks.history import ROOT, current_commit

PAGE = ROOT / "benchmarks" / "RESULTS.md"
AGES = {
    "age-faithful": (*FAITHFUL,),
    "age-weak-sites": ("weak_sites",),
    "age-gauge": ("gauge",),
    "age-variants": ("variants",),
    "age-images": ("images",),
    "age-handover": ("handover",),
    "age-remedies": ("remedies",),
    "age-seqlets": ("seqlets",),
    "age-null-calibration": ("null_calibration",),
}
"""Where the page says how old the figures of which experiments are."""


def experiments() -> str:
    """The experiments of the page, with what to type."""
    shown = [experiment for experiment in EXPERIMENTS if experiment.module.startswith("evidence.")]
    header = ["experiment", "to do it again", "on two cores"]
    return markdown(header, [[e.about, f"`make evidence NAME={e.name}`", e.takes] for e in shown])


def ages_table(ages: Sequence[Age]) -> str:
    """Every kept file, with its age."""
    commit, _ = current_commit()
    header = ["figures", "measured at", "on", "with", f"as of `{commit[:SHORT] if commit else 'unknown'}`"]
    return markdown(header, age_rows(ages))


def age_lines(ages: Sequence[Age], names: Sequence[str]) -> str:
    """A sentence for each of some experiments."""
    lines = [
        f"*{age.record.experiment}: measured at {age.measured_at}; {age.since}.*"
        for age in ages
        if age.record.experiment in names
    ]
    return "  \n".join(lines)


def blocks(ages: Sequence[Age]) -> dict[str, Callable[[], str]]:
    """What fills the page, by the name of its place."""
    lines = {place: lambda names=names: age_lines(ages, names) for place, names in AGES.items()}
    return {**TABLES, **lines, "experiments": experiments, "ages": lambda: ages_table(ages)}


def filled(text: str, contents: dict[str, Callable[[], str]]) -> str:
    """Fill the places of a page.

    Raises
    ------
    SystemExit
        If the page doesn't have one place for each.
    """
    for name, content in contents.items():
        pattern = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            pattern, lambda found, c=content: f"{found[1]}{c()}\n{found[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise SystemExit(f"{PAGE.name} has {count} places for '{name}'; it needs one")
    return text


def check(ages: Sequence[Age]) -> bool:
    """Name the figures that are older than their code; say whether there are any."""
    for age in ages:
        verdict = "older" if age.older else "as new as the code"
        print(f"{age.record.file_name}: {verdict}; measured at {age.measured_at}, {age.since}")
        if age.older:
            print(f"    to measure again: {BY_NAME[age.record.experiment].command}")
    older = sum(age.older for age in ages)
    print(f"{older} of {len(ages)} files of figures are older than the code they speak of")
    return older > 0


def options() -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    found.add_argument("--check", action="store_true", help="only name figures older than the code")
    return found


def main(arguments: Sequence[str] | None = None) -> None:
    given = options().parse_args(arguments)
    ages = all_ages()
    if given.check:
        raise SystemExit(int(check(ages)))
    contents = blocks(ages)
    PAGE.write_text(filled(PAGE.read_text(), contents))
    draw()
    print(f"wrote {PAGE.name} with {len(contents)} tables and lines")


if __name__ == "__main__":
    main()
