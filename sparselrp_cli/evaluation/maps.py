"""What methods say of windows, and the method that needs no model: an archive."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sparselrp_cli.evaluation.evaluated_windows import EvaluatedWindows, Reals
from sparselrp_cli.outputs.archive import ArchiveReader

MUTAGENESIS = "mutagenesis"


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """What a method says of some windows, as the model reads them.

    Attributes
    ----------
    contributions : ndarray, shape (n, L)
        Of the observed bases.
    hypothetical : ndarray, shape (n, 4, L)
        The contribution that each base would have.
    """

    contributions: Reals
    hypothetical: Reals


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What methods are asked for.

    Attributes
    ----------
    windows : EvaluatedWindows
    effects : ndarray, shape (n, 4, L), or None
        Of every single change, where mutagenesis is done.
    """

    windows: EvaluatedWindows
    effects: npt.NDArray[np.float64] | None


Method = Callable[[Asked], Maps]


class Archived:
    """The maps of an archive."""

    def __init__(self, reader: ArchiveReader, target: int) -> None:
        self.reader, self.target = reader, target

    def __call__(self, asked: Asked) -> Maps:
        rows, reverse = asked.windows.rows, asked.windows.reverse
        a = self.reader.contributions(rows, self.target)
        hypothetical = asked.windows.as_read(self.reader.read(rows, self.target)[1])
        return Maps(np.where(reverse[:, np.newaxis], a[:, ::-1], a), hypothetical)
