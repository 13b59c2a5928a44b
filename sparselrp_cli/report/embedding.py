"""What the page carries for its script: data as text that can't end the element it stands in."""

import base64
import hashlib
import json

import numpy as np
import numpy.typing as npt
from markupsafe import Markup

from sparselrp_cli.outputs.archive.rows import Bases, Doubles

LARGEST = np.iinfo(np.int16).max
# Bases in a byte: 5 ** 3 is less than 256.
PACKED = 3
UNKNOWN = 4


def as_json(value: object) -> Markup:
    """Write JSON for a ``script`` element of type ``application/json``.

    Names from files are in it. Signs that could end the element or begin another stand as escapes, and so
    does all that isn't ASCII, U+2028 with it.
    """
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    for sign in "<>&":
        text = text.replace(sign, f"\\u{ord(sign):04x}")
    return Markup(text)


def quantised(values: npt.NDArray[np.floating]) -> tuple[float, str]:
    """Give values as whole numbers of 16 bits in base64, little-endian, and what one of them is worth.

    The largest magnitude becomes `LARGEST`, so that the error is at most half of the step.
    """
    step = float(f"{float(np.abs(values).max(initial=0.0)) / LARGEST:.6g}")
    whole = np.clip(np.rint(values / (step or 1.0)), -LARGEST, LARGEST)
    return step, _base64(whole.astype("<i2"))


def codes(one_hot: Bases) -> Bases:
    """Number bases, A C G T from 0 and `UNKNOWN`: (..., 4, L) to (..., L)."""
    known = one_hot.sum(axis=-2, dtype=np.uint8)
    numbered = one_hot[..., 1, :] + 2 * one_hot[..., 2, :] + 3 * one_hot[..., 3, :]
    numbers: Bases = (numbered + UNKNOWN * (1 - known)).astype(np.uint8)
    return numbers


def packed(numbers: Bases) -> str:
    """Give the numbers of bases, shape (L,), three to a byte in base64; unknown ones fill the last byte."""
    filled = np.full(-(-len(numbers) // PACKED) * PACKED, UNKNOWN, np.uint8)
    filled[: len(numbers)] = numbers
    return _base64((filled.reshape(-1, PACKED) @ np.array([25, 5, 1])).astype(np.uint8))


def packed_bytes(length: int) -> int:
    """Say how many bytes of the page a window of so many bp takes: values and bases."""
    in_base64 = [4 * -(-size // 3) for size in (2 * length, -(-length // PACKED))]
    return sum(in_base64) + 24


def rounded(values: Doubles) -> list[float | None]:
    """Give numbers to four digits; None where one isn't finite, which JSON can't say."""
    return [float(f"{value:.4g}") if np.isfinite(value) else None for value in values.tolist()]


def digest(text: str) -> str:
    """Give what a Content-Security-Policy calls an inline script or style by."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _base64(array: npt.NDArray[np.generic]) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")
