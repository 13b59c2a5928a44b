"""Gzip files of a gigabyte, made without going through it."""

import gzip
import struct
import zlib

MB = 1_000_000
_ONE, _POLYNOMIAL = 1 << 31, 0xEDB88320
"""Of the checksum: polynomials over two elements, the constant term in the highest bit."""


def packed(*parts: tuple[bytes, int]) -> bytes:
    """A gzip file of bytes that are each repeated so often."""
    compressor, crc, size = zlib.compressobj(1, wbits=-15), 0, 0
    found = [gzip.compress(b"", mtime=0)[:10]]
    for part, times in parts:
        at_once = min(times, max(1, MB // len(part)))
        for count, repeats in ((at_once, times // at_once), (times % at_once, 1)):
            plain = part * count
            # What follows a full flush refers to nothing before it, so that it can be repeated.
            found.append((compressor.compress(plain) + compressor.flush(zlib.Z_FULL_FLUSH)) * repeats)
            crc = with_repeats(crc, plain, repeats)
            size += len(plain) * repeats
    return b"".join([*found, compressor.flush(), struct.pack("<LL", crc, size)])


def with_repeats(crc: int, plain: bytes, repeats: int) -> int:
    """Give the CRC-32 of bytes of a known one and as many repeats: in steps that double."""
    doubled, behind = zlib.crc32(plain), _power_of_x(8 * len(plain))
    while repeats:
        if repeats & 1:
            crc = _product(behind, crc) ^ doubled
        doubled, behind = _product(behind, doubled) ^ doubled, _product(behind, behind)
        repeats >>= 1
    return crc


def _power_of_x(exponent: int) -> int:
    power, square = _ONE, _ONE >> 1
    while exponent:
        if exponent & 1:
            power = _product(power, square)
        square = _product(square, square)
        exponent >>= 1
    return power


def _product(first: int, second: int) -> int:
    """Multiply modulo the polynomial of CRC-32."""
    product = 0
    while first:
        if first & _ONE:
            product ^= second
        first = first << 1 & 0xFFFFFFFF
        second = second >> 1 ^ (_POLYNOMIAL if second & 1 else 0)
    return product
