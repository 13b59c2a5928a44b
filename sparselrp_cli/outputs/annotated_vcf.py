"""A VCF as it was given, with more in its INFO column (VCF 4.3 specification, sections 1.4.2 and 1.6.1)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Literal

from Bio.bgzf import BgzfWriter

from sparselrp_cli import __version__
from sparselrp_cli.files.atomic import reported, temporary
from sparselrp_cli.files.opened import Opened

BEGINNING = "SLRP_"
"""Of the keys that are ours; what a file has of them from an earlier run is replaced."""
BETWEEN = "&"
"""Stands between several names of one allele, since commas stand between alleles."""
Value = str | float | None
_COLUMNS = b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"
_INFO = 7
_AT_ONCE = 1000
"""Lines; the packer takes as long for one as for a thousand."""
_RESERVED = frozenset('%:;=,&|"\\ ')


@dataclass(frozen=True, slots=True)
class InfoKey:
    """What stands in the INFO column under one key, once for each alternative allele.

    Attributes
    ----------
    name : str
        Without `BEGINNING`.
    kind : {"Float", "String"}
    description : str
    """

    name: str
    kind: Literal["Float", "String"]
    description: str

    def line(self) -> bytes:
        """Write the line of the header that declares it."""
        text = re.sub(r'(["\\])', r"\\\1", " ".join(self.description.split()))
        return (
            f"##INFO=<ID={BEGINNING}{self.name},Number=A,Type={self.kind},"
            f'Description="{text}",Source="sparselrp",Version="{__version__}">'
        ).encode()


class AnnotatedVcf(Opened):
    """A context manager that writes a bgzipped VCF; it gets its name at the end of the block.

    Parameters
    ----------
    path : Path
    header : sequence of bytes
        Lines of the VCF that is annotated; none where it has none.
    keys : sequence of InfoKey
    """

    def __init__(self, path: Path, header: Sequence[bytes], keys: Sequence[InfoKey]) -> None:
        self.path, self.header, self.keys = path, header, keys

    def _open(self, stack: ExitStack) -> None:
        hidden = stack.enter_context(temporary(self.path))
        with reported(self.path):
            self._file = BgzfWriter(str(hidden), "wb")  # type: ignore[no-untyped-call]
        stack.push(self._close)
        self._lines = [*annotated_header(self.header, self.keys)]

    def write(self, record: bytes, values: Mapping[str, Sequence[Value]]) -> None:
        """Add a line of the VCF.

        Parameters
        ----------
        record : bytes
        values : mapping of str to sequence
            By the names of keys, in the order of the alternative alleles; None is a missing value. A key that
            isn't here, isn't in the line.
        """
        here = [(key, values[key.name]) for key in self.keys if key.name in values]
        self._lines.append(annotated_record(record, here))
        if len(self._lines) >= _AT_ONCE:
            self._flush()

    def _flush(self) -> None:
        text = b"".join(line + b"\n" for line in self._lines)
        self._lines = []
        with reported(self.path):
            self._file.write(text)  # type: ignore[no-untyped-call]

    def _close(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The buffer that can't be written on a full disk is written again on closing: say it once.
        try:
            with reported(self.path):
                if kind is None:
                    self._flush()
                self._file.close()  # type: ignore[no-untyped-call]
        except Exception:
            if kind is None:
                raise


def annotated_header(header: Sequence[bytes], keys: Sequence[InfoKey]) -> Iterator[bytes]:
    """Give the lines of a header with those of our keys before the names of the columns."""
    meta = [line for line in header if line.startswith(b"##")]
    if not meta or not meta[0].lower().startswith(b"##fileformat="):
        yield b"##fileformat=VCFv4.3"
    yield from (line for line in meta if not line.startswith(b"##INFO=<ID=" + BEGINNING.encode()))
    yield from (key.line() for key in keys)
    columns = next((line for line in header if line.upper().startswith(b"#CHROM")), b"")
    given = columns.split(b"\t") if columns else []
    yield b"\t".join([*given, *_COLUMNS.split(b"\t")[len(given) :]])


def annotated_record(record: bytes, values: Sequence[tuple[InfoKey, Sequence[Value]]]) -> bytes:
    """Add to the INFO column of a line, in place of what it has of our keys; nothing else changes."""
    columns = record.split(b"\t", _INFO + 1)
    columns += [b"."] * (_INFO + 1 - len(columns))
    entries = [entry for entry in columns[_INFO].split(b";") if entry not in (b"", b".")]
    kept = [entry for entry in entries if not entry.startswith(BEGINNING.encode())]
    ours = [f"{BEGINNING}{key.name}={','.join(map(_shown, each))}".encode() for key, each in values]
    columns[_INFO] = b";".join([*kept, *ours]) or b"."
    return b"\t".join(columns)


def escaped(text: str) -> str:
    """Spell a name so that it is one value of INFO: what has a meaning there is percent-encoded."""
    return "".join(
        c if c.isprintable() and c not in _RESERVED else "".join(f"%{byte:02X}" for byte in c.encode())
        for c in text
    )


def key_part(name: str) -> str:
    """Give what stands for a name in a key, which has letters, digits, points and underscores only."""
    return re.sub(r"[^0-9A-Za-z_.]", "_", name)


def _shown(value: Value) -> str:
    if value is None:
        return "."
    return value if isinstance(value, str) else f"{value:.6g}"
