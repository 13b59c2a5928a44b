"""What the experiments compare: composites, proportions, and compromises between sparsity and ranking."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sparselrp_cli.relevance.composites import PRESETS, Composite, Entry
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import RULES, Gamma

COMPOSITES = ("epsilon", "epsilon-plus", "z-plus", "epsilon-gamma", "epsilon-alpha2-beta1")
OTHER_GAMMA = 0.1
BEFORE = ("--composite", "epsilon-plus", "-p", "0.02", "--centre", "none")
COMMANDS: dict[str, tuple[str, ...]] = {
    "the default": (),
    **{f"p = {p}": ("-p", p) for p in ("0", "0.05", "0.25", "0.9")},
    "before 0.2.0": BEFORE,
}
"""Options of the command that its experiments compare; the default of before is epsilon-plus, p = 0.02."""


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
    gamma : float or None
        Where it isn't the composite's.
    """

    composite: str
    name: str
    pruning: Pruning
    entries: tuple[Entry, ...] = ()
    refined: bool = False
    centred: bool = False
    select: str | None = None
    strands: bool = False
    gamma: float | None = None

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


def every_method(*, quick: bool = False) -> Iterator[Method]:
    """Give what is compared: composites, gammas, proportions, redistributions, selection, strands."""
    for composite in ("epsilon-gamma",) if quick else COMPOSITES:
        for centred in (False, True):
            yield Method(composite, "LRP", Pruning(0.0), centred=centred)
    yield of_gamma(OTHER_GAMMA, 0.0)
    for p in (0.05, 0.25) if quick else (0.02, 0.05, 0.1, 0.25):
        yield Method("epsilon-gamma", "PLRP-lambda", Pruning(p), centred=True)
        yield of_gamma(OTHER_GAMMA, p)
    for p in () if quick else (0.02, 0.05, 0.25):
        yield Method("epsilon-plus", "PLRP-lambda", Pruning(p))
    for p in (0.05,) if quick else (0.05, 0.25):
        yield Method("epsilon-gamma", "PLRP-lambda", Pruning(p), centred=True, select="z-plus")
    if not quick:
        p = Pruning(0.05)
        yield Method("epsilon-gamma", "PLRP-M", Pruning(0.05, redistribute="m"), centred=True)
        yield Method("epsilon-gamma", "PLRP-lambda, then LRP", p, refined=True, centred=True)
        yield Method("epsilon-gamma", "PLRP-lambda", p, centred=True, strands=True)


def of_gamma(gamma: float, p: float) -> Method:
    """Give epsilon-gamma with another gamma, centred."""
    entries = (Entry(kind="convolution", rule=Gamma(gamma=gamma)),)
    name = "PLRP-lambda" if p else "LRP"
    return Method("epsilon-gamma", name, Pruning(p), entries, centred=True, gamma=gamma)


def fully_convolutional_methods() -> Iterator[Method]:
    """Give fewer methods, for networks whose windows are long and that have nothing but convolutions.

    There `epsilon` is the gradient, `z-plus` is `epsilon-plus`, and both are left out.
    """
    for method in every_method():
        if method.composite in ("epsilon", "z-plus") or method.refined or method.strands:
            continue
        if (method.select and method.p != 0.05) or (method.composite == "epsilon-plus" and method.p == 0.05):
            continue
        if method.composite == "epsilon-alpha2-beta1" and not method.centred:
            continue
        yield method


def image_methods(*, quick: bool = False) -> Iterator[Method]:
    """Give what is compared on images, which have no bases to centre."""
    composites = ("epsilon-gamma", "epsilon-plus")
    for composite in composites if quick else ("zero", "z-plus", "epsilon-alpha2-beta1", *composites):
        yield Method(composite, "LRP", Pruning(0.0))
    for composite in composites:
        for p in (0.05, 0.25) if quick else (0.02, 0.05, 0.1, 0.25, 0.5, 0.9):
            yield Method(composite, "PLRP-lambda", Pruning(p))
        for p in () if quick else (0.05, 0.25):
            yield Method(composite, "PLRP-M", Pruning(p, redistribute="m"))
            yield Method(composite, "PLRP-lambda, then LRP", Pruning(p), refined=True)
    if not quick:
        yield Method("epsilon-gamma", "PLRP-lambda", Pruning(0.05), select="z-plus")
