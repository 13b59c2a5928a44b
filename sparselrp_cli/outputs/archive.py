"""The archive, the file that every other file is made from; its content stands in `archive_layout`."""

from sparselrp_cli.outputs.archive_layout import SCHEMA_VERSION, ArchiveDtype
from sparselrp_cli.outputs.archive_reader import ArchiveReader, Coordinates
from sparselrp_cli.outputs.archive_writer import ArchiveWriter
from sparselrp_cli.outputs.rows import ACCOUNTING, SPREAD, ArchivedWindow, ArchiveRows, WindowLike

__all__ = [
    "ACCOUNTING",
    "SCHEMA_VERSION",
    "SPREAD",
    "ArchiveDtype",
    "ArchiveReader",
    "ArchiveRows",
    "ArchiveWriter",
    "ArchivedWindow",
    "Coordinates",
    "WindowLike",
]
