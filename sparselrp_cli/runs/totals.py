"""Sums over all windows, for the log and the manifest; they depend on the rows of an archive alone."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from sparselrp_cli.outputs.archive.blocks import Block
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, Doubles
from sparselrp_cli.settings.manifest import Outcome


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
    agreement: Mapping[str, float] | None = None

    def add(self, block: Block) -> None:
        """Count the windows of a block."""
        names = (*ACCOUNTING, "score_sd") if block.shape.spread else ACCOUNTING
        for name in names:
            self.sums[name] = self.sums.get(name, 0.0) + block.column(name).sum(1)
        self.windows += block.n_rows
        errors = block.column("conservation_error").max(0)
        worst = int(np.argmax(errors))
        if not errors[worst] <= self.largest_error:
            self.largest_error = float(errors[worst])
            self.worst_window = block.names[worst]

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
