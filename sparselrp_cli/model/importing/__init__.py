"""Published checkpoints as model folders: read as data, no code in them ever runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.importing.bpnet_lite import import_bpnet_lite
from sparselrp_cli.model.importing.cispliceai import import_cispliceai
from sparselrp_cli.model.importing.imported import ImportedModel, ImportRequest
from sparselrp_cli.model.importing.keras import import_keras
from sparselrp_cli.model.importing.writing import refuse_existing, write_folders

__all__ = ["IMPORTERS", "ImportRequest", "ImportedModel", "import_model", "refuse_existing", "write_folders"]

IMPORTERS: Mapping[str, Callable[[Path, ImportRequest], list[ImportedModel]]] = MappingProxyType(
    {"keras": import_keras, "bpnet-lite": import_bpnet_lite, "cispliceai": import_cispliceai}
)
_HDF5, _ZIP = b"\x89HDF\r\n\x1a\n", b"PK\x03\x04"


def import_model(path: Path, kind: str, request: ImportRequest) -> list[ImportedModel]:
    """Read a checkpoint.

    Parameters
    ----------
    path : Path
    kind : str
        One of `IMPORTERS`, or ``auto``.
    request : ImportRequest

    Raises
    ------
    ModelError
        If the file can't be read, or its network can't be expressed.
    """
    chosen = detect_format(path) if kind == "auto" else kind
    if not path.is_file():
        raise ModelError(f"{path}: no such file")
    return IMPORTERS[chosen](path, request)


def detect_format(path: Path) -> str:
    """Tell the format of a checkpoint from its first bytes.

    Raises
    ------
    ModelError
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error
    if start == _HDF5:
        return "keras"
    if start.startswith(_ZIP):
        return "bpnet-lite"
    if start[:1] == b"\x0a" and path.suffix == ".pb":
        return "cispliceai"
    raise ModelError(
        f"{path}: not a format that is known by its content; import reads Keras models (.h5), bpnet-lite"
        " checkpoints (.torch, .pt) and CI-SpliceAI's graph (.pb); name one with --format"
    )
