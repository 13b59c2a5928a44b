"""Which bases mattered: sparse, conserved relevance (pruned LRP) of PyTorch models, for genomes and images.

    import sparselrp

    a = sparselrp.PLRP(net).attribute(x, target=1)  # x (N, 4, L), as captum's methods take it
    a.contributions, a.hypothetical                 # (N, L) and (N, 4, L)

What is heavy, torch above all, is imported when a name is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

from sparselrp_cli import __version__
from sparselrp_cli.errors import (
    CompositeError,
    ConservationError,
    InputError,
    ModelError,
    OutputError,
    SettingError,
    SparselrpError,
    TargetError,
    UnsupportedOperationError,
)

if TYPE_CHECKING:
    from sparselrp_cli.face.attribute import attribute
    from sparselrp_cli.face.attribution import Attribution
    from sparselrp_cli.face.inspection import Inspection, inspect
    from sparselrp_cli.face.models import load_model, pack
    from sparselrp_cli.face.plrp import PLRP
    from sparselrp_cli.face.probe import Probe, probe
    from sparselrp_cli.face.run import Locus, Run
    from sparselrp_cli.face.run import open_run as open
    from sparselrp_cli.model.loading import LoadedModel

__all__ = [
    "PLRP",
    "Attribution",
    "CompositeError",
    "ConservationError",
    "InputError",
    "Inspection",
    "LoadedModel",
    "Locus",
    "ModelError",
    "OutputError",
    "Probe",
    "Run",
    "SettingError",
    "SparselrpError",
    "TargetError",
    "UnsupportedOperationError",
    "__version__",
    "attribute",
    "inspect",
    "load_model",
    "open",
    "pack",
    "probe",
]

_PLACES = {
    "PLRP": "face.plrp",
    "Attribution": "face.attribution",
    "Inspection": "face.inspection",
    "LoadedModel": "model.loading",
    "Locus": "face.run",
    "Probe": "face.probe",
    "Run": "face.run",
    "attribute": "face.attribute",
    "inspect": "face.inspection",
    "load_model": "face.models",
    "open": "face.run",
    "pack": "face.models",
    "probe": "face.probe",
}
"""Where each name is that is imported when it is used."""


def __getattr__(name: str) -> object:
    """Import a name when it is used for the first time."""
    if name not in _PLACES:
        raise AttributeError(f"module 'sparselrp' has no attribute '{name}'")
    module = import_module(f"sparselrp_cli.{_PLACES[name]}")
    found: object = getattr(module, "open_run" if name == "open" else name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
