"""Sums over all windows, for the log and the manifest; they depend on the rows of an archive alone."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparselrp_cli.outputs.archive.blocks import Block
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, Doubles


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
    agreement : dict of str to float, or None
        With float32, of a run in reduced precision.
    """

    targets: tuple[str, ...]
    windows: int = 0
    skipped: int = 0
    ambiguous: int = 0
    largest_error: float = 0.0
    worst_window: str = ""
    sums: dict[str, Doubles] = field(default_factory=dict)
    agreement: dict[str, float] | None = None

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

    def summary(self) -> dict[str, Any]:
        """Give means per target, and the largest conservation error."""
        count = max(self.windows, 1)
        means = {
            target: {f"mean_{name}": float(total[i] / count) for name, total in self.sums.items()}
            for i, target in enumerate(self.targets)
        }
        reduced = {} if self.agreement is None else {"agreement_with_float32": self.agreement}
        return {**reduced, "targets": means, "largest_conservation_error": self.largest_error}

    def counts(self) -> dict[str, int]:
        """Give what was counted."""
        return {"windows": self.windows, "skipped": self.skipped, "ambiguous_bases": self.ambiguous}
