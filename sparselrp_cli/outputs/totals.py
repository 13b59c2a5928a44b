"""Running sums over all windows, for the log and the manifest."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sparselrp_cli.outputs.rows import ArchiveRows, Doubles


@dataclass(slots=True)
class Totals:
    """What is known of all windows so far.

    Attributes
    ----------
    targets : tuple of str
    windows, skipped : int
    largest_error : float
        The largest conservation error, that of `worst_window`.
    first_reason : str
        Why the first region was skipped.
    kept_share : float
        Sum over windows.
    sums : dict of str to ndarray of float64, shape (T,)
        Sums over windows of the accounting columns and, of several models, of ``score_sd``.
    agreement : dict of str to float, or None
        With float32, of a run in reduced precision.
    """

    targets: tuple[str, ...]
    windows: int = 0
    skipped: int = 0
    largest_error: float = 0.0
    worst_window: str = ""
    first_reason: str = ""
    kept_share: float = 0.0
    sums: dict[str, Doubles] = field(default_factory=dict)
    agreement: dict[str, float] | None = None

    def add(self, rows: ArchiveRows, kept_share: float) -> None:
        """Count some windows, of which the engine kept a share of the neurons."""
        numbers = dict(rows.accounting)
        if rows.spread:
            numbers["score_sd"] = rows.spread["score_sd"].astype(np.float64)
        for name, values in numbers.items():
            self.sums[name] = self.sums.get(name, 0.0) + values.sum(1)
        self.kept_share += kept_share * len(rows)
        self.windows += len(rows)
        errors = rows.accounting["conservation_error"].max(0)
        worst = int(np.argmax(errors))
        if not errors[worst] <= self.largest_error:
            self.largest_error = float(errors[worst])
            self.worst_window = rows.windows[worst].name

    def summary(self) -> dict[str, Any]:
        """Give means per target, and the largest conservation error."""
        count = max(self.windows, 1)
        means = {
            target: {f"mean_{name}": float(total[i] / count) for name, total in self.sums.items()}
            for i, target in enumerate(self.targets)
        }
        reduced = {} if self.agreement is None else {"agreement_with_float32": self.agreement}
        return {
            **reduced,
            "targets": means,
            "largest_conservation_error": self.largest_error,
            "mean_kept_share": self.kept_share / count,
        }
