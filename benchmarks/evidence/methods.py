"""What the experiments compare: composites, proportions, and compromises between sparsity and ranking."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparselrp_cli.relevance.composites import PRESETS, Composite, Entry
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import RULES

PROPORTIONS = (0.02, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
COMPOSITES = ("epsilon", "epsilon-plus", "z-plus", "epsilon-gamma", "epsilon-alpha2-beta1")
# At these, everything is compared and not only PLRP-lambda with epsilon-plus.
COMPARED = (0.05, 0.25, 0.9)


@dataclass(frozen=True)
class Method:
    """A way to explain.

    Attributes
    ----------
    composite, name : str
    pruning : Pruning
    entries : tuple of Entry
        Before those of the composite.
    refined : bool
        Whether what pruning left at zero is ranked by LRP, see `refined`.
    centred : bool
        Whether the mean over the four bases is taken off at each position.
    select : str or None
        The rule by whose relevance neurons are selected, where it isn't the composite's.
    strands : bool
        Whether the maps of both strands are averaged.
    """

    composite: str
    name: str
    pruning: Pruning
    entries: tuple[Entry, ...] = ()
    refined: bool = False
    centred: bool = False
    select: str | None = None
    strands: bool = False

    @property
    def p(self) -> float | str:
        """The proportion pruned."""
        return "auto" if self.pruning.automatic else self.pruning.positive

    @property
    def walks(self) -> int:
        """How many walks it takes: to select, for each strand, for what ranks zeros, with neurons masked."""
        selected, masked = self.select is not None, self.pruning.redistribute == "m"
        return (1 + selected) * (1 + self.strands) * (1 + self.refined) * (1 + masked)

    def rules(self) -> Composite:
        """The composite with the method's own entries first."""
        preset = PRESETS[self.composite]
        select = preset.select if self.select is None else RULES[self.select]()
        return Composite(preset.name, preset.summary, (*self.entries, *preset.entries), select)


def methods(*, quick: bool = False) -> Iterator[Method]:
    """Give the methods, plain LRP with epsilon-plus first."""
    yield Method("epsilon-plus", "LRP", Pruning(0.0))
    for composite in ("zero",) if quick else ("zero", *(c for c in COMPOSITES if c != "epsilon-plus")):
        yield Method(composite, "LRP", Pruning(0.0))
    for p in (0.05, 0.25, 0.9) if quick else PROPORTIONS:
        yield Method("epsilon-plus", "PLRP-lambda", Pruning(p))
        yield Method("epsilon-plus", "PLRP-M", Pruning(p, redistribute="m"))
        if p in COMPARED and not quick:
            yield from _compared(p)
    yield Method("epsilon-plus", "PLRP-auto", Pruning(0.0, automatic=True))


def _compared(p: float) -> Iterator[Method]:
    """Give the compromises, and the other composites, at one proportion."""
    yield Method("epsilon-plus", "PLRP-lambda, then LRP", Pruning(p), refined=True)
    for kind, other in (("dense", "convolution"), ("convolution", "dense")):
        spared = (Entry(kind=other, prune=0.0, prune_negative=0.0),)
        yield Method("epsilon-plus", f"PLRP-lambda, {kind} only", Pruning(p), spared)
    for composite in COMPOSITES:
        if composite != "epsilon-plus":
            yield Method(composite, "PLRP-lambda", Pruning(p))


def refined(pruned: np.ndarray, lrp: np.ndarray) -> np.ndarray:
    """Rank what pruning left at zero by its relevance before, below everything that is left.

    The zeros of a map get its unpruned relevance, scaled so that the largest is half of the smallest left.
    """
    zeros = pruned == 0
    smallest = np.abs(pruned[~zeros]).min(initial=np.inf)
    largest = np.abs(lrp[zeros]).max(initial=0.0)
    if not np.isfinite(smallest) or largest == 0:
        return lrp if not np.isfinite(smallest) else pruned
    return np.where(zeros, lrp * (smallest / largest / 2), pruned)


def networks_methods(*, quick: bool = False) -> Iterator[Method]:
    """Give what is compared on networks of other kinds than the first: composites, proportions, strands."""
    for composite in ("epsilon-gamma",) if quick else COMPOSITES:
        for centred in (False, True):
            yield Method(composite, "LRP", Pruning(0.0), centred=centred)
    for p in (0.05, 0.25) if quick else (0.02, 0.05, 0.1, 0.25):
        yield Method("epsilon-gamma", "PLRP-lambda", Pruning(p), centred=True)
        yield Method("epsilon-plus", "PLRP-lambda", Pruning(p))
        yield Method("epsilon-gamma", "PLRP-lambda", Pruning(p), centred=True, select="z-plus")
    for composite, centred in () if quick else (("epsilon-gamma", True), ("epsilon-plus", False)):
        p = Pruning(0.05)
        yield Method(composite, "PLRP-M", Pruning(0.05, redistribute="m"), centred=centred)
        yield Method(composite, "PLRP-lambda, then LRP", p, refined=True, centred=centred)
        yield Method(composite, "PLRP-lambda", p, centred=centred, strands=True)


def fully_convolutional_methods() -> Iterator[Method]:
    """Give fewer methods, for networks whose windows are long and that have nothing but convolutions.

    There `epsilon` is the gradient, `z-plus` is `epsilon-plus`, and both are left out.
    """
    spared = {"PLRP-lambda, then LRP"}
    for method in networks_methods():
        both, only = method.select is not None, method.p in (0.0, 0.05)
        if method.composite in ("epsilon", "z-plus") or method.name in spared or (both and not only):
            continue
        if method.composite == "epsilon-plus" and (method.strands or method.name == "PLRP-M"):
            continue
        yield method
