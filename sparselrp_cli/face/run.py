"""Runs over a genome, from Python: the same job as `sparselrp attribute`, and its archive as an object."""

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from sparselrp_cli.face.wording import in_python_words
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveReader
from sparselrp_cli.outputs.archive.rows import Bases, Reals
from sparselrp_cli.outputs.locus import parse_place, read_stretch
from sparselrp_cli.outputs.tables import PLACE
from sparselrp_cli.runs.run_files import copy_run

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COMMAND = ("sparselrp.attribute",)
"""What the manifest of a run names in the place of a command line."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Locus:
    """A stretch of a chromosome, and its contributions.

    Attributes
    ----------
    chrom : str
    start, end : int
        0-based half-open, in bp.
    contributions : ndarray of float64, shape (end - start, 4)
        At the observed base, in the order A C G T; NaN where no window lies.
    """

    chrom: str
    start: int
    end: int
    contributions: npt.NDArray[np.float64]

    def __repr__(self) -> str:
        return f"Locus({self.chrom}:{self.start + 1}-{self.end}, {self.end - self.start} bp)"

    def plot(self, *, ax: "Axes | None" = None) -> "Axes":
        """Draw letters as high as their contributions, positions counted from 1; an outline over 200 bp.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Where to draw; by default a figure of its own.
        """
        from sparselrp_cli.face.drawing import draw_bases

        axes = draw_bases(self.contributions, self.start + 1, ax)
        axes.set_xlabel(f"position on {self.chrom}")
        return axes


@dataclass(frozen=True, eq=False, repr=False)
class Run:
    """The windows of a run, read from its archive as they are asked for.

    Attributes
    ----------
    path : Path
        The archive.
    target : str
        Which of its targets is read; see `of`.
    targets : tuple of str
        All of them.
    """

    path: Path
    target: str
    targets: tuple[str, ...]
    _n: int
    _length: int
    _folder: object = field(default=None)

    @classmethod
    def of_archive(cls, path: Path, folder: object = None) -> "Run":
        """Open an archive."""
        with ArchiveReader(path) as reader:
            names = tuple(reader.target_names)
            return cls(path, names[0], names, reader.n_windows, reader.window_length, folder)

    def __len__(self) -> int:
        return self._n

    def __repr__(self) -> str:
        targets = f"target '{self.target}'" + (f" of {len(self.targets)}" if len(self.targets) > 1 else "")
        return (
            f"Run({self._n} window{'s' * (self._n != 1)} of {self._length} bp, {targets}, {self.path.name})"
        )

    def of(self, target: str) -> "Run":
        """Give the same run with another of its targets.

        Parameters
        ----------
        target : str
            One of `targets`.

        Raises
        ------
        OutputError
            If it has no such target.
        """
        with self._reading() as reader:
            reader.target_number(target)
        return replace(self, target=target)

    @property
    def windows(self) -> pd.DataFrame:
        """A row for each window, and for each of several targets, as in ``PREFIX.windows.tsv``."""
        with self._reading() as reader:
            accounts = reader.accounts(slice(None))
        n_targets, several = len(self.targets), len(self.targets) > 1

        def column(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
            return values.T.reshape(-1)  # window by window

        table = {name: np.repeat([getattr(w, name) for w in accounts.windows], n_targets) for name in PLACE}
        if several:
            table["target"] = np.tile(np.array(self.targets, object), len(self))
        table |= {name: column(accounts.accounting[name]) for name in ACCOUNTING}
        table["n_bases_unknown"] = np.repeat(accounts.n_unknown, n_targets)
        if accounts.spread is not None:
            table["score_sd"] = column(accounts.spread["score_sd"])
        return pd.DataFrame(table)

    @property
    def contributions(self) -> Reals:
        """Contributions of the observed bases, shape (N, L), on the forward strand."""
        with self._reading() as reader:
            return reader.contributions(slice(None), self._number)

    @property
    def hypothetical(self) -> Reals:
        """Hypothetical contributions, shape (N, 4, L), on the forward strand."""
        with self._reading() as reader:
            return reader.read(slice(None), self._number)[1]

    @property
    def sequences(self) -> Bases:
        """The windows, one-hot, shape (N, 4, L), on the forward strand; an unknown base is 0 in all four."""
        with self._reading() as reader:
            return reader.read(slice(None), self._number)[0]

    @property
    def manifest(self) -> dict[str, Any]:
        """What was run on what, as in ``PREFIX.manifest.json``."""
        with self._reading() as reader:
            return reader.manifest

    def locus(self, place: str) -> Locus:
        """Give the contributions of a stretch; where windows overlap, of the one whose centre is nearest.

        Parameters
        ----------
        place : str
            ``chr2R:1-600``, as genome browsers write it: counted from 1, both ends included.

        Raises
        ------
        InputError
            If it isn't a place, or no window lies there.
        """
        chrom, start, end = parse_place(str(place))
        with self._reading() as reader:
            found = read_stretch(reader, chrom, start, end, self._number)
        return Locus(chrom, start, end, found.contributions)

    def save(self, prefix: str | Path) -> tuple[Path, ...]:
        """Write the files that `sparselrp attribute -o PREFIX` writes with the same options.

        Parameters
        ----------
        prefix : str or Path

        Returns
        -------
        tuple of Path
            What was written.

        Raises
        ------
        OutputError
            If a file can't be written, or the run's table of skipped regions isn't beside its archive.
        """
        prefix = Path(prefix)
        with in_python_words(), locked(prefix):
            return copy_run(self.path, prefix, COMMAND)

    @property
    def _number(self) -> int:
        return self.targets.index(self.target)

    @contextmanager
    def _reading(self) -> Iterator[ArchiveReader]:
        with in_python_words(), ArchiveReader(self.path) as reader:
            yield reader


class Folder:
    """A temporary folder that goes when nothing refers to it any more."""

    def __init__(self) -> None:
        self.path = Path(tempfile.mkdtemp(prefix="sparselrp-"))
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)


def open_run(path: str | Path) -> Run:
    """Open the archive of a run, ``PREFIX.h5``.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    OutputError
        If it isn't one, or is damaged.
    """
    with in_python_words():
        return Run.of_archive(Path(path))
