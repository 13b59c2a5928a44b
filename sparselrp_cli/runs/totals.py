"""Sums over all windows, for the log and the manifest; they depend on the rows of an archive alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sparselrp_cli.outputs.archive.blocks import Block
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, Doubles
from sparselrp_cli.outputs.choices import WARN_ABOVE
from sparselrp_cli.settings.manifest import Outcome

STABILISED_SHARE = 0.01
"""A run warns where stabilisers took more than this share of the scores."""


@dataclass(slots=True)
class Totals:
    """What is known of all windows so far.

    Attributes
    ----------
    targets : tuple of str
    windows, skipped, ambiguous : int
        Windows, regions that weren't scored, and letters that were read as N.
    largest_error : float
        The largest conservation error, that of `worst_window`.
    sums : dict of str to ndarray of float64, shape (T,)
        Sums over windows of the accounting columns and, of several models, of ``score_sd``.
    stabilised, magnitude : ndarray of float64, shape (T,)
        Sums over windows of what stabilisers took and of scores, both in magnitude.
    agreement : mapping of str to float, or None
        With float32, of a run in reduced precision.
    """

    targets: tuple[str, ...]
    windows: int = 0
    skipped: int = 0
    ambiguous: int = 0
    largest_error: float = 0.0
    worst_window: str = ""
    sums: dict[str, Doubles] = field(default_factory=dict)
    stabilised: Doubles = field(default_factory=lambda: np.zeros(()))
    magnitude: Doubles = field(default_factory=lambda: np.zeros(()))
    agreement: Mapping[str, float] | None = None

    def add(self, block: Block) -> None:
        """Count the windows of a block."""
        names = (*ACCOUNTING, "score_sd") if block.shape.spread else ACCOUNTING
        for name in names:
            self.sums[name] = self.sums.get(name, 0.0) + block.column(name).sum(1)
        self.stabilised = self.stabilised + np.abs(block.column("stabilised")).sum(1)
        self.magnitude = self.magnitude + np.abs(block.column("score")).sum(1)
        self.windows += block.n_rows
        errors = block.column("conservation_error").max(0)
        worst = int(np.argmax(errors))
        if not errors[worst] <= self.largest_error:
            self.largest_error = float(errors[worst])
            self.worst_window = block.names[worst]

    def warnings(self) -> list[str]:
        """Say what of all windows looks wrong, a sentence each."""
        said = []
        if self.largest_error > WARN_ABOVE:
            said.append(f"conservation error up to {self.largest_error:.2g} (window {self.worst_window})")
        if not self.windows:
            return said
        for target, taken, whole in zip(self.targets, self.stabilised, self.magnitude, strict=True):
            if taken > STABILISED_SHARE * whole:
                said.append(
                    f"{target}: stabilisers took {100 * taken / whole:.2g} % of the scores, which nothing"
                    " explains: the rules found no contributions of the right sign, or outputs are small"
                    " beside epsilon (1e-6 unless a composite, --composite FILE, gives another)"
                )
        return said

    def outcome(self) -> Outcome:
        """Give what was counted, and means per target."""
        count = max(self.windows, 1)
        means = {
            target: {f"mean_{name}": float(total[i] / count) for name, total in self.sums.items()}
            for i, target in enumerate(self.targets)
        }
        return Outcome(
            windows=self.windows,
            skipped=self.skipped,
            ambiguous_bases=self.ambiguous,
            means=means,
            largest_error=self.largest_error,
            agreement=self.agreement,
        )
