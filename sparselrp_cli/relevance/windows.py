"""From one-hot windows to contributions on the forward strand, with their accounts, as arrays."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from sparselrp_cli.errors import WindowError
from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.relevance.batching import halving, to_device, to_host
from sparselrp_cli.relevance.conservation import conservation_error
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.replay import Replays

Marked = npt.NDArray[np.uint8]
"""Bases of windows that lie in blocks of their regions: shape (N, L)."""
BOOKED = ("relevance", "background", "absorbed", "lost")
"""Where the relevance of a score is."""
BOOKS = ("score", *BOOKED, "prediction", "stabilised", "special")


@dataclass(frozen=True, slots=True, eq=False)
class ExplainedWindows:
    """Arrays of one batch, forward strand, order A C G T.

    Attributes
    ----------
    hypothetical : ndarray, shape (T, N, 4, L)
        Hypothetical contributions; zero where the base is unknown.
    accounting : dict of str to ndarray of float64, shape (T, N)
        score; prediction, what the model itself gives; relevance; background, what centring takes off;
        absorbed; stabilised, what of that stabilisers took; special, what of that lies at tokens without a
        base, 0 of models of bases; lost; conservation_error; zero_share;
        kept_share, the share of neurons kept in the pruned layers, 1 without pruning.
    spread : dict of str to ndarray, or None
        Of several models: the standard deviations ``score_sd``, shape (T, N), and ``contribution_sd``, shape
        (T, N, L).
    """

    hypothetical: npt.NDArray[np.floating]
    accounting: dict[str, npt.NDArray[np.float64]]
    spread: dict[str, npt.NDArray[np.floating]] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Maps:
    """Explanations of one batch as tensors, where they were computed.

    Attributes
    ----------
    hypothetical : Tensor, shape (T, N, 4, L)
        Hypothetical contributions, in the order A C G T; zero where the base is unknown.
    books : Tensor of float64, shape (B, T, N)
        The columns `BOOKS`.
    kept : Tensor of float64, shape (T, N)
        The share of neurons kept in the pruned layers, 1 without pruning.
    """

    hypothetical: Tensor
    books: Tensor
    kept: Tensor


@dataclass(frozen=True, slots=True)
class KeptLayer:
    """What pruning left of a layer, for one window.

    Attributes
    ----------
    tensor : str
        What is pruned: the layer's input.
    neurons : int
        Of the tensor.
    kept : int
        Of these.
    """

    tensor: str
    neurons: int
    kept: int


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
        self._replays = Replays(self.explain_tensor, lambda maps: (maps.hypothetical, maps.books, maps.kept))

    def explain(
        self,
        one_hot: npt.NDArray[np.uint8],
        reverse: Sequence[bool],
        marked: Marked | None = None,
        rows: Mapping[str, Tensor] = NO_ROWS,
    ) -> ExplainedWindows:
        """Explain windows, and wait for what comes out; see `launch`."""
        return self.launch(one_hot, reverse, marked, rows).result()

    def launch(
        self,
        one_hot: npt.NDArray[np.uint8],
        reverse: Sequence[bool],
        marked: Marked | None = None,
        rows: Mapping[str, Tensor] = NO_ROWS,
    ) -> "Launched":
        """Begin to explain windows. A GPU goes on while the host does something else.

        Parameters
        ----------
        one_hot : ndarray of uint8, shape (N, 4, L)
            Forward strand.
        reverse : sequence of bool, length N
            Windows that the model is to see reverse-complemented.
        marked : ndarray of uint8, shape (N, L), optional
            For targets that read blocks: 1 where a base, of the forward strand, lies in one.
        rows : mapping of str to Tensor (N, ...)
            Inputs beside the sequence, by name, as the model is to see them. One orientation has them: not
            where strands are averaged.
        """

        def part(start: int, end: int) -> _OnTheWay:
            of_part = None if marked is None else marked[start:end]
            own = {name: row[start:end] for name, row in rows.items()}
            try:
                return self._launch(one_hot[start:end], reverse[start:end], of_part, own)
            except WindowError as error:
                raise error.shifted(start) from error

        return Launched(halving(len(one_hot), part))

    def _launch(
        self,
        one_hot: npt.NDArray[np.uint8],
        reverse: Sequence[bool],
        marked: Marked | None,
        rows: Mapping[str, Tensor],
    ) -> "_OnTheWay":
        forward, flip, x, blocks = self._read(one_hot, reverse, marked)
        if x.device.type == "cuda" and blocks is None and not rows:
            read = self._replays(x)
        else:
            read = self.explain_tensor(x, blocks, rows)
        maps = torch.where(flip, read.hypothetical.flip(2, 3), read.hypothetical)
        zero = ((maps * forward).sum(2) == 0).double().mean(2)
        return _OnTheWay.of(maps, read.books, zero, read.kept)

    def explain_tensor(
        self, x: Tensor, blocks: Tensor | None = None, rows: Mapping[str, Tensor] = NO_ROWS
    ) -> "Maps":
        """Explain windows in the orientation in which the model is to see them.

        Parameters
        ----------
        x : Tensor, shape (N, 4, L)
            In the order A C G T, on the graph's device and of its type; one-hot or any numbers.
        blocks : Tensor of bool, shape (N, L), optional
            For targets that read blocks: the bases that lie in one.
        rows : mapping of str to Tensor (N, ...)
            As for `launch`.
        """
        if rows and self.average_strands:
            raise ValueError("rows are of one orientation, and both strands are read")
        explanations = self.explainer.explain(self.layout.to_model(x), marked=blocks, rows=rows)
        maps = torch.stack([self.layout.from_model(e.hypothetical) for e in explanations])
        books, kept = books_of(explanations), kept_shares(explanations)
        if self.average_strands:
            turned = None if blocks is None else blocks.flip(1)
            opposite = self.explainer.explain(
                self.layout.to_model(x.flip(1, 2)), mirrored=True, marked=turned
            )
            others = torch.stack([self.layout.from_model(e.hypothetical) for e in opposite])
            maps = (maps + others.flip(2, 3)) / 2
            books = (books + books_of(opposite)) / 2
            kept = (kept + kept_shares(opposite)) / 2
        return Maps(maps * (x != 0).any(1, keepdim=True), books, kept)

    def _read(
        self, one_hot: npt.NDArray[np.uint8], reverse: Sequence[bool], marked: Marked | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor | None]:
        """Give windows on the forward strand, which of them are turned (N, 1, 1), and as they are read.

        The last is the blocks as they are read.
        """
        graph = self.explainer.graph
        forward = to_device(torch.from_numpy(np.ascontiguousarray(one_hot)), graph.device)
        flip = to_device(torch.tensor(list(reverse)), graph.device)[:, None, None]
        blocks = None
        if marked is not None:
            blocks = to_device(torch.from_numpy(np.ascontiguousarray(marked)), graph.device).bool()
            blocks = torch.where(flip[:, 0], blocks.flip(1), blocks)
        return forward, flip, torch.where(flip, forward.flip(1, 2), forward).to(graph.dtype), blocks

    def kept_layers(
        self, one_hot: npt.NDArray[np.uint8], *, reverse: bool, target: int = 0, marked: Marked | None = None
    ) -> list[KeptLayer]:
        """Say what pruning leaves of each layer, from the input on; nothing without pruning.

        Parameters
        ----------
        one_hot : ndarray of uint8, shape (1, 4, L)
            One window, forward strand.
        reverse : bool
            Whether the model is to see it reverse-complemented.
        target : int
        marked : ndarray of uint8, shape (1, L), optional
            As for `launch`.
        """
        *_, x, blocks = self._read(one_hot, [reverse], marked)
        explanation = self.explainer.explain(self.layout.to_model(x), marked=blocks)[target]
        layers = reversed(explanation.ledger.pruned_layers)
        return [KeptLayer(layer.tensor, layer.neurons, int(layer.kept.sum())) for layer in layers]


@dataclass(frozen=True, slots=True, eq=False)
class Launched:
    """Windows that are being explained, in one or several parts."""

    parts: Sequence["_OnTheWay"]

    def result(self) -> ExplainedWindows:
        """Wait until they are explained."""
        parts = [part.result() for part in self.parts]
        if len(parts) == 1:
            return parts[0]
        return ExplainedWindows(
            hypothetical=np.concatenate([p.hypothetical for p in parts], axis=1),
            accounting={
                name: np.concatenate([p.accounting[name] for p in parts], axis=1)
                for name in parts[0].accounting
            },
        )


@dataclass(frozen=True, slots=True, eq=False)
class _OnTheWay:
    """Maps (T, N, 4, L), books (B, T, N) and shares of zeros and of kept neurons (T, N), sent to the host."""

    maps: Tensor
    books: Tensor
    zero: Tensor
    kept: Tensor
    arrived: torch.cuda.Event | None

    @classmethod
    def of(cls, maps: Tensor, books: Tensor, zero: Tensor, kept: Tensor) -> "_OnTheWay":
        """Send them to the host without waiting for them."""
        if maps.dtype not in (torch.float32, torch.float64):  # numpy has no bfloat16
            maps = maps.float()
        sent = to_host(maps), to_host(books), to_host(zero), to_host(kept.double())
        event = None
        if maps.device.type == "cuda":
            event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            event.record(torch.cuda.current_stream(maps.device))
        return cls(*sent, event)

    def result(self) -> ExplainedWindows:
        if self.arrived is not None:
            self.arrived.synchronize()
        books = accounts(self.books.numpy(), self.zero.numpy(), self.kept.numpy())
        return ExplainedWindows(self.maps.numpy(), books)


def books_of(explanations: Sequence[Explanation]) -> Tensor:
    """Stack the columns `BOOKS` of the explanations of a batch for T targets: shape (B, T, N)."""
    return torch.stack([_books(e) for e in explanations], 1)


def kept_shares(explanations: Sequence[Explanation]) -> Tensor:
    """Give the share of neurons kept of each target and window: shape (T, N)."""
    return torch.stack([_kept_share(e) for e in explanations])


def _books(e: Explanation) -> Tensor:
    """Stack the columns `BOOKS`: shape (B, N)."""
    return torch.stack(
        [
            *(e.score, e.relevance, e.background, e.absorbed, e.lost),
            *(e.prediction, e.ledger.to_stabiliser.to(e.score), e.ledger.to_special.to(e.score)),
        ]
    )


def accounts(
    books: npt.NDArray[np.float64],
    zero_share: npt.NDArray[np.float64],
    kept_share: npt.NDArray[np.float64],
) -> dict[str, npt.NDArray[np.float64]]:
    """Make the accounting columns from the books.

    Parameters
    ----------
    books : ndarray of float64, shape (B, T, N)
        The columns `BOOKS`, B of them.
    zero_share, kept_share : ndarray of float64, shape (T, N)
    """
    # What isn't finite is refused, with the window's name, by who asked for the explanation.
    with np.errstate(invalid="ignore"):
        error = conservation_error(*books[: 1 + len(BOOKED)])
    return {
        **dict(zip(BOOKS, books, strict=True)),
        "conservation_error": error,
        "zero_share": zero_share,
        "kept_share": kept_share,
    }


def _kept_share(explanation: Explanation) -> Tensor:
    """Give the share of neurons kept per window, shape (N,)."""
    layers = explanation.ledger.pruned_layers
    if not layers:
        return torch.ones_like(explanation.score, dtype=torch.float64)
    kept = torch.stack([layer.kept for layer in layers]).sum(0, dtype=torch.float64)
    return kept / sum(layer.neurons for layer in layers)
