"""A manifest as a run writes it."""

from dataclasses import replace
from typing import Any

from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.settings.manifest import Manifest, ModelEntry, Outcome
from sparselrp_cli.settings.run import RunSettings

SETTLED = RunSettings(
    targets=("task",), window=40, prune_negative=0.01, formats=("h5",), batch_size=8, device="cpu"
)
"""Settings with nothing left open."""


def manifest(models: tuple[str, ...] = ("net",), outcome: Outcome | None = None, **settings: Any) -> Manifest:
    """The manifest of a run of some models with other settings than `SETTLED`."""
    return Manifest(
        inputs={"sequences": FileEntry("genome.fa", 10, "0" * 64)},
        models=tuple(ModelEntry(name, (), "ACGT", "NCL", {"conv": "z-plus"}) for name in models),
        settings=replace(SETTLED, **settings),
        torch="2.13.0",
        outcome=outcome,
    )
