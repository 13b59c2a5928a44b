"""From one-hot windows to contributions on the forward strand, with their accounts, as arrays."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.batching import halving
from sparselrp_cli.relevance.conservation import conservation_error
from sparselrp_cli.relevance.explainer import Explainer, Explanation

BOOKS = ("score", "relevance", "absorbed", "lost")


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedWindows:
    """Arrays of one batch, forward strand, order A C G T.

    Attributes
    ----------
    hypothetical : ndarray, shape (T, N, 4, L)
        Hypothetical contributions; zero where the base is unknown.
    accounting : dict of str to ndarray of float64, shape (T, N)
        score, relevance, absorbed, lost, conservation_error, zero_share, and kept_share, the share of neurons
        kept in the pruned layers, 1 without pruning.
    spread : dict of str to ndarray, or None
        Of several models: the standard deviations ``score_sd``, shape (T, N), and ``contribution_sd``, shape
        (T, N, L).
    """

    hypothetical: npt.NDArray[np.floating]
    accounting: dict[str, npt.NDArray[np.float64]]
    spread: dict[str, npt.NDArray[np.floating]] | None = None


class WindowExplainer:
    """Feeds windows to an `Explainer` in the orientation that was asked for.

    Parameters
    ----------
    explainer : Explainer
    layout : InputLayout
    average_strands : bool
        Average with the reverse complement.
    """

    def __init__(self, explainer: Explainer, layout: InputLayout, *, average_strands: bool = False) -> None:
        self.explainer = explainer
        self.layout = layout
        self.average_strands = average_strands

    def explain(self, one_hot: npt.NDArray[np.uint8], reverse: Sequence[bool]) -> ExplainedWindows:
        """Explain windows.

        Parameters
        ----------
        one_hot : ndarray of uint8, shape (N, 4, L)
            Forward strand.
        reverse : sequence of bool, length N
            Windows that the model is to see reverse-complemented.
        """
        parts = halving(
            len(one_hot), lambda start, end: self._explain(one_hot[start:end], reverse[start:end])
        )
        return ExplainedWindows(
            hypothetical=np.concatenate([p.hypothetical for p in parts], axis=1),
            accounting={
                name: np.concatenate([p.accounting[name] for p in parts], axis=1)
                for name in parts[0].accounting
            },
        )

    def _explain(self, one_hot: npt.NDArray[np.uint8], reverse: Sequence[bool]) -> ExplainedWindows:
        graph = self.explainer.graph
        forward = torch.from_numpy(np.ascontiguousarray(one_hot)).to(graph.device, graph.dtype)
        flip = torch.tensor(list(reverse), device=graph.device)
        known = forward.sum(1, keepdim=True)
        x = torch.where(flip[:, None, None], forward.flip(1, 2), forward)
        explanations = self.explainer.explain(self.layout.to_model(x))
        maps = [self.layout.from_model(e.hypothetical) for e in explanations]
        books = [_books(e) for e in explanations]
        kept = [_kept_share(e) for e in explanations]
        if self.average_strands:
            opposite = self.explainer.explain(self.layout.to_model(x.flip(1, 2)), mirrored=True)
            others = [self.layout.from_model(e.hypothetical).flip(1, 2) for e in opposite]
            maps = [(m + o) / 2 for m, o in zip(maps, others, strict=True)]
            books = [(b + _books(e)) / 2 for b, e in zip(books, opposite, strict=True)]
            kept = [(k + _kept_share(e)) / 2 for k, e in zip(kept, opposite, strict=True)]
        maps = [torch.where(flip[:, None, None], m.flip(1, 2), m) * known for m in maps]
        return ExplainedWindows(
            hypothetical=np.stack([_array(m) for m in maps]),
            accounting=_accounting(maps, books, kept, forward),
        )


def _books(explanation: Explanation) -> Tensor:
    """Stack score, relevance, absorbed and lost: shape (4, N)."""
    return torch.stack([explanation.score, explanation.relevance, explanation.absorbed, explanation.lost])


def _accounting(
    maps: list[Tensor], books: list[Tensor], kept: list[Tensor], forward: Tensor
) -> dict[str, npt.NDArray[np.float64]]:
    zero = [((m * forward).sum(1) == 0).double().mean(1).cpu().numpy() for m in maps]
    return accounts(
        torch.stack(books, 1).cpu().numpy(), np.stack(zero), torch.stack(kept).double().cpu().numpy()
    )


def accounts(
    books: npt.NDArray[np.float64],
    zero_share: npt.NDArray[np.float64],
    kept_share: npt.NDArray[np.float64],
) -> dict[str, npt.NDArray[np.float64]]:
    """Make the accounting columns from the books.

    Parameters
    ----------
    books : ndarray of float64, shape (4, T, N)
        The columns `BOOKS`.
    zero_share, kept_share : ndarray of float64, shape (T, N)
    """
    return {
        **dict(zip(BOOKS, books, strict=True)),
        "conservation_error": conservation_error(*books),
        "zero_share": zero_share,
        "kept_share": kept_share,
    }


def _array(values: Tensor) -> npt.NDArray[np.floating]:
    """Copy to an array; types that numpy doesn't know become float32."""
    if values.dtype not in (torch.float32, torch.float64):
        values = values.float()
    array: npt.NDArray[np.floating] = values.cpu().numpy()
    return array


def _kept_share(explanation: Explanation) -> Tensor:
    """Give the share of neurons kept per window, shape (N,)."""
    layers = explanation.ledger.pruned_layers
    if not layers:
        return torch.ones_like(explanation.score, dtype=torch.float64)
    kept = torch.stack([layer.kept for layer in layers]).sum(0, dtype=torch.float64)
    return kept / sum(layer.neurons for layer in layers)
