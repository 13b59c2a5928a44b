"""What the files of a run let one choose; only names, for help texts and settings."""

from typing import Literal, get_args

OVERLAPS = ("nearest-centre", "mean", "max-abs", "sum", "error")
"""What a base covered by several windows gets in a track, the default first; `overlap.POLICIES` has how."""

ArchiveDtype = Literal["float16", "float32", "float64"]
ARCHIVE_DTYPES: tuple[ArchiveDtype, ...] = get_args(ArchiveDtype)
"""Types of the hypothetical contributions in an archive."""

WARN_ABOVE = 0.01
"""A conservation error that is worth a warning, and that --strict refuses where the user set no bound."""

TOP_WINDOWS = 6
"""How many of the best windows a report shows in letters, and are explained without pruning for it."""
