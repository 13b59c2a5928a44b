"""The record of a run: its figures, and the commit, the versions and the machine that they come from.

A file holds one JSON object, the header first, then tables of rows with one row a line: where one figure
changes, one line does. `load` reads this format and no other.
"""

import argparse
import json
import os
import platform
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from benchmarks.history import ROOT, current_commit
from sparselrp_cli import __version__

if TYPE_CHECKING:
    import torch

RESULTS = ROOT / "benchmarks" / "results"
UNFINISHED = ROOT / "benchmarks" / "cache" / "unfinished"
FORMAT = "sparselrp benchmark, 1"
PACKAGES = ("torch", "numba", "numpy", "triton")

Row = Mapping[str, Any]
Tables = Mapping[str, Sequence[Row]]
Noted = Literal["by the run", "from the file's history"]


class RecordError(ValueError):
    """A file of results that isn't in the one format."""


@dataclass(frozen=True)
class Origin:
    """Where figures come from.

    Attributes
    ----------
    commit : str or None
        None where the run didn't know it.
    dirty : bool or None
        Whether files differed from the commit; None where it isn't known.
    noted : {"by the run", "from the file's history"}
        Figures that are older than this format have the commit that last changed their file: the code that
        made them is at most as new.
    device : str
        "cpu", or the short name of a GPU.
    machine : str
        The processor's or the GPU's full name.
    threads : int
        Of torch.
    wait_policy : str or None
        OMP_WAIT_POLICY.
    versions : mapping of str to str or None
        Of Python and the packages; None where not known.
    """

    commit: str | None
    dirty: bool | None
    noted: Noted
    device: str
    machine: str
    threads: int
    wait_policy: str | None
    versions: Mapping[str, str | None]

    @classmethod
    def of(cls, device: "torch.device") -> "Origin":
        """Note the code and the machine as they are now."""
        import torch

        commit, dirty = current_commit()
        gpu = None if device.type == "cpu" else torch.cuda.get_device_name(device)
        versions: dict[str, str | None] = {name: package_version(name) for name in PACKAGES}
        versions |= {
            "python": platform.python_version(),
            "sparselrp": __version__,
            "cuda": torch.version.cuda,
        }
        return cls(
            commit=commit,
            dirty=dirty,
            noted="by the run",
            device=short_name(gpu) if gpu else "cpu",
            machine=gpu or processor(),
            threads=torch.get_num_threads(),
            wait_policy=os.environ.get("OMP_WAIT_POLICY"),
            versions=versions,
        )


@dataclass(frozen=True)
class Record:
    """An experiment's figures with their origin."""

    experiment: str
    origin: Origin
    tables: Tables

    @property
    def file_name(self) -> str:
        return f"{self.experiment}_{self.origin.device}.json"


def dump(record: Record) -> str:
    """Write a record: a line for each field of the header and for each row."""
    header = {"format": FORMAT, "experiment": record.experiment, **asdict(record.origin)}
    lines = [f"{json.dumps(name)}: {json.dumps(value)}," for name, value in header.items()]
    tables = ",\n".join(
        f"{json.dumps(name)}: [\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]"
        for name, rows in record.tables.items()
    )
    return "{\n" + "\n".join(lines) + '\n"tables": {\n' + tables + "\n}\n}\n"


def load(path: Path) -> Record:
    """Read a record.

    Raises
    ------
    RecordError
        If the file isn't one, in just this format.
    """
    try:
        found = json.loads(path.read_text())
    except ValueError as error:
        raise RecordError(f"{path}: this isn't JSON ({error}); run the experiment again") from error
    wanted = ["format", "experiment", *(field.name for field in fields(Origin)), "tables"]
    if not isinstance(found, dict) or found.get("format") != FORMAT:
        raise RecordError(f"{path}: the format isn't '{FORMAT}'; run the experiment again")
    if list(found) != wanted:
        odd = sorted(set(found) ^ set(wanted)) or ["the order of the fields"]
        raise RecordError(f"{path}: the header doesn't fit ({', '.join(odd)}); run the experiment again")
    if found["noted"] not in get_args(Noted):
        raise RecordError(f"{path}: the commit was noted '{found['noted']}', which isn't known")
    experiment, tables = found["experiment"], found["tables"]
    if not isinstance(tables, dict) or not all(isinstance(rows, list) for rows in tables.values()):
        raise RecordError(f"{path}: 'tables' isn't lists of rows by name; run the experiment again")
    origin = Origin(**{field.name: found[field.name] for field in fields(Origin)})
    record = Record(experiment, origin, tables)
    if path.name != record.file_name:
        raise RecordError(f"{path}: these are figures of {record.file_name}; give the file that name")
    return record


def save(record: Record, folder: Path = RESULTS) -> Path:
    """Keep a record under its name in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / record.file_name
    path.write_text(dump(record))
    return path


@dataclass(frozen=True)
class Keeper:
    """Keeps the figures of a run that asked for it. The origin is noted before the run starts."""

    experiment: str
    origin: Origin
    folder: Path | None

    @classmethod
    def start(cls, experiment: str, given: argparse.Namespace, device: "torch.device") -> "Keeper":
        """Note the origin; the folder is that of --out, or the kept results with --save."""
        folder = given.out or (RESULTS if given.save else None)
        return cls(experiment, Origin.of(device), folder)

    @property
    def aside(self) -> Path | None:
        """Where what isn't whole is kept: in the folder of --out, or in the cache."""
        if self.folder is None or self.folder == RESULTS:
            return self.folder and UNFINISHED
        return self.folder / "unfinished"

    def keep(self, tables: Tables) -> None:
        """Keep the figures of the whole run."""
        if self.folder is None or self.aside is None:
            return
        record = Record(self.experiment, self.origin, tables)
        print(f"kept in {save(record, self.folder)}")
        (self.aside / record.file_name).unlink(missing_ok=True)

    def keep_beside(self, tables: Tables, key: str) -> None:
        """Keep the figures of a part of a run in the place of those that were kept of the same.

        Parameters
        ----------
        key : str
            The field of each row that says of what it is. Rows of others stay, with the commit they are of.
        """
        path = self.folder / Record(self.experiment, self.origin, tables).file_name if self.folder else None
        if path is None or not path.is_file():
            return self.keep(tables)
        before = load(path)
        new = {row[key] for rows in tables.values() for row in rows}
        stay = {
            name: [
                {**row, "commit": row.get("commit", before.origin.commit)}
                for row in rows
                if row[key] not in new
            ]
            for name, rows in before.tables.items()
        }
        return self.keep({name: [*rows, *stay.get(name, [])] for name, rows in tables.items()})

    def keep_so_far(self, tables: Tables) -> None:
        """Keep what a long run has until now aside, so that no half run passes for a whole one."""
        if self.aside is not None:
            save(Record(self.experiment, self.origin, tables), self.aside)


def package_version(name: str) -> str | None:
    """Give the version of a package, None where it isn't installed."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def short_name(gpu: str) -> str:
    """Shorten a GPU's name to what has a number in it: 'NVIDIA A100-SXM4-80GB' is a100."""
    found = re.search(r"[a-z]*\d+\w*", gpu.lower())
    return found[0] if found else "cuda"


def processor() -> str:
    """Name the processor, where the system tells."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return f"{names[0]}, {len(names)} cores" if names else platform.processor()
