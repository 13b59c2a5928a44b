"""Formats of published checkpoints that `sparselrp import` reads: a row for each. No torch, for help texts.

To add one, write a module in `model.importing` and add a row.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True, slots=True)
class Format:
    """A format of checkpoints.

    Attributes
    ----------
    name : str
        For ``--format``.
    what : str
        What a file is, with its endings, for help and messages.
    reader : str
        The function of a module in `model.importing` that reads one: ``MODULE:FUNCTION``, which takes a path
        and an `ImportRequest` and gives a list of `ImportedModel`.
    begins : bytes
        What every file begins with.
    suffix : str
        Its ending, where its first bytes alone don't tell.
    """

    name: str
    what: str
    reader: str
    begins: bytes
    suffix: str = ""

    def fits(self, start: bytes, suffix: str) -> bool:
        """Whether a file with these first bytes and this ending has the format."""
        return start.startswith(self.begins) and self.suffix in ("", suffix)


FORMATS: Mapping[str, Format] = MappingProxyType(
    {
        row.name: row
        for row in (
            Format("keras", "a Keras model (.h5)", "keras:import_keras", b"\x89HDF\r\n\x1a\n"),
            Format(
                "keras-archive",
                "one of Keras 2.12 or later (.keras)",
                "keras.archive:import_archive",
                b"PK\x03\x04",
                ".keras",
            ),
            Format(
                "bpnet-lite",
                "a bpnet-lite checkpoint (.torch, .pt)",
                "bpnet_lite:import_bpnet_lite",
                b"PK\x03\x04",
            ),
            Format("cispliceai", "CI-SpliceAI's graph (.pb)", "cispliceai:import_cispliceai", b"\x0a", ".pb"),
        )
    }
)
"""All formats by name; a file has the first that fits."""
PARTS = ("accessibility", "bias")
"""The networks of a ChromBPNet, the one that is taken unless told first."""


def described() -> str:
    """List what can be read, for help and messages."""
    *most, last = [row.what for row in FORMATS.values()]
    return f"{', '.join(most)} or {last}"
