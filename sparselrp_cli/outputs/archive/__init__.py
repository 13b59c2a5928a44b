"""The archive, the file that every other file is made from; its content stands in `archive_layout`."""

from sparselrp_cli.outputs.archive.layout import SCHEMA_VERSION
from sparselrp_cli.outputs.archive.reader import ArchiveReader
from sparselrp_cli.outputs.archive.rows import ACCOUNTING, SPREAD, ArchiveRows, Coordinates
from sparselrp_cli.outputs.archive.writer import ArchiveWriter
from sparselrp_cli.outputs.choices import ArchiveDtype

__all__ = [
    "ACCOUNTING",
    "SCHEMA_VERSION",
    "SPREAD",
    "ArchiveDtype",
    "ArchiveReader",
    "ArchiveRows",
    "ArchiveWriter",
    "Coordinates",
]
