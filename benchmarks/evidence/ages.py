"""How old kept figures are: which commits have changed the code they speak of since they were measured."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.experiments import BY_NAME, Experiment
from benchmarks.history import ROOT, commits_since, uncommitted
from benchmarks.record import RESULTS, Origin, Record, load

SHORT = 7
"""Digits of a commit that are shown."""


@dataclass(frozen=True)
class Age:
    """The age of one record.

    Attributes
    ----------
    record : Record
    commits : int or None
        That changed what the figures depend on, since they were measured; None where git can't tell.
    changed : tuple of str
        Rooms and files that these commits changed.
    at_work : tuple of str
        Those with changes that aren't committed.
    """

    record: Record
    commits: int | None
    changed: tuple[str, ...]
    at_work: tuple[str, ...]

    @property
    def older(self) -> bool:
        """Whether the figures are older than the code, or may be."""
        return self.commits != 0 or bool(self.at_work)

    @property
    def measured_at(self) -> str:
        """The commit, and what isn't sure about it."""
        origin = self.record.origin
        if origin.commit is None:
            return "an unknown commit"
        doubt = " and changes that weren't committed" if origin.dirty else ""
        before = "or before " if origin.noted != "by the run" else ""
        return f"{before}`{origin.commit[:SHORT]}`{doubt}"

    @property
    def since(self) -> str:
        """What has changed since, as a clause."""
        if self.commits is None:
            clause = "what has changed since can't be told"
        elif self.commits:
            have = "commit has" if self.commits == 1 else "commits have"
            clause = f"{self.commits} {have} changed {', '.join(self.changed)} since"
        else:
            clause = "no commit has changed what it depends on since"
        return clause + (f"; changes in {', '.join(self.at_work)} aren't committed" if self.at_work else "")


def age_of(record: Record, experiment: Experiment, root: Path = ROOT) -> Age:
    """Ask git what has changed since a record was measured."""
    commit, depends_on = record.origin.commit, experiment.depends_on
    at_work = tuple(name for name, paths in depends_on.items() if uncommitted(paths, root))
    if commit is None:
        return Age(record, None, (), at_work)
    everything = [path for paths in depends_on.values() for path in paths]
    commits = commits_since(commit, everything, root)
    changed = tuple(name for name, paths in depends_on.items() if commits_since(commit, paths, root))
    return Age(record, commits, changed, at_work)


def all_ages() -> list[Age]:
    """Ages of all that is kept, in the order of the experiments."""
    order = list(BY_NAME)
    records = [load(path) for path in RESULTS.glob("*.json")]
    unknown = [record.file_name for record in records if record.experiment not in BY_NAME]
    if unknown:
        raise SystemExit(f"no experiment makes {', '.join(unknown)}: add it to benchmarks/experiments.py")
    records.sort(key=lambda record: (order.index(record.experiment), record.file_name))
    return [age_of(record, BY_NAME[record.experiment]) for record in records]


def age_rows(ages: Sequence[Age]) -> list[list[str]]:
    """A row for each record: figures, where and with what they were measured, and what has changed since."""
    return [
        [
            f"[{age.record.experiment}](results/{age.record.file_name})",
            age.measured_at,
            f"{age.record.origin.machine}, {threads(age.record.origin)}",
            versions(age.record.origin),
            f"**{age.since}**" if age.older else age.since,
        ]
        for age in ages
    ]


def threads(origin: Origin) -> str:
    """Count torch's threads."""
    return f"{origin.threads} thread" + ("s" if origin.threads != 1 else "")


def versions(origin: Origin) -> str:
    """Name the versions that are known of our package and torch."""
    known = {name: origin.versions.get(name) for name in ("sparselrp", "torch")}
    return ", ".join(f"{name} {number}" for name, number in known.items() if number)
