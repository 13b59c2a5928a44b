"""How many of the processor's cores a process may use."""

import math
import os
from collections.abc import Iterator
from pathlib import Path

from sparselrp_cli.files.control_groups import group_folders, numbers_in


def usable_cores() -> int:
    """Count the cores that this process may use, by its affinity and by its control groups' quota."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS
    there = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, min([there, *map(math.ceil, _quotas())]))


def _quotas() -> Iterator[float]:
    """Give how many cores' time each control group may take."""
    for folder in group_folders("cpu"):
        both = numbers_in(folder / "cpu.max") or _first_version(folder)
        match both:
            case [int(quota), int(period)] if quota > 0 and period > 0:
                yield quota / period


def _first_version(folder: Path) -> list[int | None]:
    """Read a quota, -1 for none, and its period."""
    files = (numbers_in(folder / f"cpu.cfs_{name}_us") or [None] for name in ("quota", "period"))
    return [numbers[0] for numbers in files]
