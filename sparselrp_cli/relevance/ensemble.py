"""Several models, such as the folds of a cross-validation, explained as one: their mean, and its spread.

Contributions and accounts are linear in the models, so the mean of the explanations explains the mean of the
models' scores, and its accounts close as each model's do.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.relevance.windows import (
    BOOKS,
    ExplainedWindows,
    Launched,
    Marked,
    WindowExplainer,
    accounts,
)

Doubles = npt.NDArray[np.float64]


class EnsembleExplainer:
    """Feeds windows to several models in turn and averages what they give.

    At any time only the running mean and one model's explanation are kept, whatever the number of models.

    Parameters
    ----------
    explainers : sequence of WindowExplainer
        All explain the same targets of windows of the same length.
    """

    def __init__(self, explainers: Sequence[WindowExplainer]) -> None:
        self.explainers = tuple(explainers)

    def explain(
        self,
        one_hot: npt.NDArray[np.uint8],
        reverse: Sequence[bool],
        marked: Marked | None = None,
        rows: Mapping[str, Tensor] = NO_ROWS,
    ) -> ExplainedWindows:
        """Explain windows; parameters as for `WindowExplainer.explain`.

        Returns
        -------
        ExplainedWindows
            Means over the models; the conservation error is that of the mean accounts, the share of zeros
            that of the mean map. With the spread: population standard deviations (divisor: the number of
            models) of the scores and of the contributions of the observed bases.
        """
        return self.launch(one_hot, reverse, marked, rows).result()

    def launch(
        self,
        one_hot: npt.NDArray[np.uint8],
        reverse: Sequence[bool],
        marked: Marked | None = None,
        rows: Mapping[str, Tensor] = NO_ROWS,
    ) -> "LaunchedEnsemble":
        """Begin to explain windows by the first model; the others follow where the result is asked for."""
        first = self.explainers[0].launch(one_hot, reverse, marked, rows)
        return LaunchedEnsemble(self.explainers, one_hot, reverse, marked, rows, first)


@dataclass(frozen=True, slots=True, eq=False)
class LaunchedEnsemble:
    """Windows that are being explained by several models."""

    explainers: Sequence[WindowExplainer]
    one_hot: npt.NDArray[np.uint8]
    reverse: Sequence[bool]
    marked: Marked | None
    rows: Mapping[str, Tensor]
    first: Launched

    def result(self) -> ExplainedWindows:
        """Wait until all models have explained them."""
        one_hot, reverse = self.one_hot, self.reverse
        explained = self.first.result()
        dtype = explained.hypothetical.dtype
        maps, books = _Running(explained.hypothetical), _Running(_books(explained))
        kept = _Running(explained.accounting["kept_share"])
        for explainer in self.explainers[1:]:
            explained = explainer.explain(one_hot, reverse, self.marked, self.rows)
            maps.add(explained.hypothetical)
            books.add(_books(explained))
            kept.add(explained.accounting["kept_share"])
        hypothetical = maps.mean.astype(dtype)
        zero = np.einsum("tnbl,nbl->tnl", hypothetical, one_hot) == 0
        return ExplainedWindows(
            hypothetical=hypothetical,
            accounting=accounts(books.mean, zero.mean(axis=2), kept.mean),
            spread={
                "score_sd": np.sqrt(books.variance()[BOOKS.index("score")]),
                "contribution_sd": np.sqrt(np.einsum("tnbl,nbl->tnl", maps.variance(), one_hot)),
            },
        )


class _Running:
    """Mean and population variance of arrays that come one by one, in float64 (Welford, Technometrics 1962).

    Equal arrays give exactly themselves, and no variance.
    """

    def __init__(self, first: npt.NDArray[np.floating[Any]]) -> None:
        self.n = 1
        self.mean: Doubles = first.astype(np.float64)
        self.squares: Doubles = np.zeros_like(self.mean)

    def add(self, values: npt.NDArray[np.floating[Any]]) -> None:
        # What isn't finite is refused, with the window's name, by who asked for the explanation.
        with np.errstate(invalid="ignore", over="ignore"):
            self.n += 1
            difference = values - self.mean
            self.mean += difference / self.n
            self.squares += difference * (values - self.mean)

    def variance(self) -> Doubles:
        return self.squares / self.n


def _books(explained: ExplainedWindows) -> Doubles:
    """Stack the columns `BOOKS`: shape (B, T, N)."""
    return np.stack([explained.accounting[name] for name in BOOKS])
