"""Examples explained batch by batch, for one target, for several, or for one of each example's own."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.face.attribution import Attribution
from sparselrp_cli.face.engine import Engine, Ready
from sparselrp_cli.face.inputs import Examples
from sparselrp_cli.face.targets import Chosen
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.relevance import kernels
from sparselrp_cli.relevance.batching import automatic_batch_size, halving
from sparselrp_cli.relevance.conservation import conservation_error
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.windows import BOOKED, BOOKS, WindowExplainer, books_of

logger = logging.getLogger("sparselrp")
_SHOWN = 3
_AXES = (("maps", 1), ("contributions", 1), ("books", 2))
"""What is computed, and the axis of its examples."""


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """What was computed of N examples for T targets: maps, shape (T, N, ...), contributions and books."""

    maps: Tensor
    contributions: Tensor
    books: Tensor

    def of(self, number: int, name: str, examples: Examples) -> Attribution:
        """Give the attribution of one of the targets."""
        books = dict(zip(BOOKS, self.books[:, number], strict=True))
        booked = (books[name] for name in BOOKED)
        return Attribution(
            name, examples.x, self.contributions[number].clone(), self.maps[number].clone(),
            books["score"].clone(), books["prediction"].clone(), books["background"].clone(),
            books["absorbed"].clone(), books["lost"].clone(), conservation_error(books["score"], *booked),
        )  # fmt: skip


def explained(
    ready: Ready, engine: Engine, examples: Examples, rows: Mapping[str, Tensor], chosen: Chosen,
    batch_size: int | None,
) -> list[Attribution]:  # fmt: skip
    """Explain examples for each of the chosen targets, or each example for its own.

    Raises
    ------
    SparselrpError
        If memory doesn't suffice for one example, or what comes out isn't finite.
    """
    if examples.x.device.type == "cpu" and kernels.must_compile():
        logger.info("compiling for this processor, which takes up to a minute, once")
    size = batch_size or automatic_batch_size(ready.prepared.explainer.graph)
    both_strands = engine.settings.reverse_complement

    def found(targets: tuple[Target, ...], picked: Tensor | None) -> _Found:
        explainer = ready.at(targets, both_strands=both_strands)
        windows = WindowExplainer(explainer, ready.prepared.model.layout, average_strands=both_strands)
        x = examples.x if picked is None else examples.x[picked]
        own = rows if picked is None else {name: row[picked] for name, row in rows.items()}
        return _batches(windows, Examples(x), own, size)

    if chosen.of_example is None:
        of_all = found(chosen.targets, None)
        each = [of_all.of(i, target.name, examples) for i, target in enumerate(chosen.targets)]
    else:
        numbers = torch.tensor(chosen.of_example, device=examples.x.device)
        parts = [
            (picked, found((target,), picked))
            for number, target in enumerate(chosen.targets)
            for picked in [(numbers == number).nonzero()[:, 0]]
        ]
        each = [_together(parts, len(examples.x)).of(0, _names(chosen.targets), examples)]
    logarithms = any(target.logarithms for target in chosen.targets)
    for one in each:
        _check(one, logarithms=logarithms)
    return each


def _batches(windows: WindowExplainer, examples: Examples, rows: Mapping[str, Tensor], size: int) -> _Found:
    """Explain examples some at a time, in halves where memory runs out."""
    x = examples.x

    def part(first: int, start: int, end: int) -> _Found:
        here = slice(first + start, first + end)
        own = {name: row[here].detach() for name, row in rows.items()}
        if examples.are_images:
            return _images(windows.explainer, x[here], own)
        read = windows.explain_tensor(x[here], rows=own)
        return _Found(read.hypothetical, (read.hypothetical * x[here]).sum(2), read.books)

    parts: list[_Found] = []
    for first in range(0, len(x), size):
        parts += halving(min(size, len(x) - first), partial(part, first))
    if len(parts) == 1:
        return parts[0]
    return _Found(*(torch.cat([getattr(p, name) for p in parts], axis) for name, axis in _AXES))


def _images(explainer: Explainer, x: Tensor, rows: Mapping[str, Tensor]) -> _Found:
    explanations = explainer.explain(x, rows=rows)
    relevance = torch.stack([e.contributions for e in explanations])
    return _Found(relevance, relevance.sum(2), books_of(explanations))


def _together(parts: Sequence[tuple[Tensor, _Found]], n: int) -> _Found:
    """Put what was computed of some examples each into their order."""
    (_, first), *_ = parts
    whole = []
    for name, axis in _AXES:
        like = getattr(first, name)
        into = like.new_empty((*like.shape[:axis], n, *like.shape[axis + 1 :]))
        for picked, found in parts:
            into.index_copy_(axis, picked, getattr(found, name))
        whole.append(into)
    return _Found(*whole)


def _names(targets: Sequence[Target]) -> str:
    shown = ", ".join(target.name for target in targets[:_SHOWN])
    return shown + (", ..." if len(targets) > _SHOWN else "")


def _check(found: Attribution, *, logarithms: bool) -> None:
    """Stop at numbers that aren't finite; warn where the accounts don't close."""
    finite = found.maps.flatten(1).isfinite().all(1) & found.score.isfinite() & found.prediction.isfinite()
    if not bool(finite.all()):
        number = int((~finite).nonzero()[0])
        raise SparselrpError(f"example {number}, target '{found.target}': {_why(found, number, logarithms)}")
    worst = float(found.conservation_error.max())
    if worst > WARN_ABOVE:
        logger.warning("target '%s': conservation error up to %.2g of the score", found.target, worst)


def _why(found: Attribution, number: int, logarithms: bool) -> str:
    score = float(found.score[number])
    if logarithms and bool(found.prediction[number].isnan()):
        return "what log(...) is of isn't above 0 here, and has no logarithm"
    if not bool(found.score[number].isfinite()):
        return f"the module's output is {score:g}, of which there is nothing to explain"
    return (
        f"relevance isn't finite, though the score is {score:g}; numbers inside the module are too large for"
        " its type: explain it in float64, net.double()"
    )
