"""The lines of a VCF, plain, gzip or bgzip; and those of a BCF, which pysam turns into text."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from sparselrp_cli.errors import InputError, is_installed
from sparselrp_cli.sequences.text import (
    content_lines,
    display_name,
    is_pipe,
    numbered_lines,
    open_lines,
    require_content,
)

LONGEST_ALLELES = 1 << 24
"""REF and ALT of pangenomes have millions of letters; of a longer line only the beginning is needed."""
_LONGEST_LINE = 1 << 28  # a line holds the genotypes of every sample
_KEPT = 2 * LONGEST_ALLELES
# A header has a line for each contig, and some assemblies have millions.
_MOST_IDLE = 10_000_000
_BCF = b"BCF\2"

Record = tuple[str, bytes]
"""A line, with its place for messages in front."""


def read_records(path: str, *, whole: bool = False) -> Iterator[Record]:
    """Read the lines of a VCF or BCF that aren't its header, in their order.

    Parameters
    ----------
    path : str
    whole : bool
        Whether lines of more than 32 MiB are to be read to their end, with all genotypes.

    Raises
    ------
    InputError
        If it can't be read, is a pipe (it is read once for each allele), or is a BCF and pysam is missing.
    """
    _require_file(path)
    name = display_name(path)
    if is_bcf(path):
        with _opened_bcf(path) as file:
            for number, record in enumerate(file, 1):
                yield f"{name} record {number}", str(record).rstrip("\r\n").encode()
        return
    with open_lines(path) as stream:
        keep = None if whole else _KEPT
        for number, line in content_lines(stream, name, _LONGEST_LINE, keep, _MOST_IDLE):
            yield f"{name} line {number}", line


def read_header(path: str) -> list[bytes]:
    """Read the lines of the header of a VCF or BCF; none where the file has none.

    Raises
    ------
    InputError
    """
    _require_file(path)
    if is_bcf(path):
        with _opened_bcf(path) as file:
            return str(file.header).encode().splitlines()
    name = display_name(path)
    lines: list[bytes] = []
    with open_lines(path) as stream:
        for number, line in numbered_lines(stream, name, _LONGEST_LINE, _KEPT):
            if line.strip() and not line.startswith(b"#"):
                break
            require_content(number, name, number, _MOST_IDLE)
            if line.strip():
                lines.append(line)
    return lines


def is_bcf(path: str) -> bool:
    """Whether a file is a BCF."""
    with open_lines(path) as stream:
        return cast(io.BufferedReader, stream).peek(len(_BCF)).startswith(_BCF)


def _require_file(path: str) -> None:
    if is_pipe(path):
        name = display_name(path)
        raise InputError(f"{name}: the VCF is read several times and can't be a pipe; write it to a file")


@contextmanager
def _opened_bcf(path: str) -> Iterator[Any]:
    """Open a BCF; what pysam raises while it is read is one line.

    Raises
    ------
    InputError
    """
    name = display_name(path)
    if not is_installed("pysam"):
        raise InputError(
            f"{name}: a BCF file, which pysam reads: pip install 'sparselrp[vcf]'; or convert it with"
            " `bcftools view -Oz` first"
        )
    import pysam

    # What the library prints by itself would stand beside our one line.
    before = pysam.set_verbosity(0)
    try:
        with pysam.VariantFile(str(Path(path)), "rb") as file:
            yield file
    except (OSError, ValueError) as error:
        what = " ".join(str(error).split())
        raise InputError(
            f"{name}: the BCF is damaged ({what}); get it again, or see what `bcftools view` says of it"
        ) from error
    finally:
        pysam.set_verbosity(before)
