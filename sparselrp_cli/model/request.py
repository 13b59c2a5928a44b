"""What is asked for when a model is named; no torch, for the command line."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

ALPHABET = "ACGT"
"""The order of bases, unless the model has another."""
Layout = Literal["NCL", "NLC"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)
"""Axes of a model's input, bases before or after positions; the first unless told."""
FORMS = ("NC1L", "NCL1", "N1CL", "N1LC", "NL")
"""Other forms of input: with an axis of length 1, or ids 0 to 3 in the place of bases."""
LONGEST_WINDOW = 10_000_000
"""In bp."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What the user said about the model.

    Attributes
    ----------
    reference : str
        Folder, `model.json`, ``package.module:factory``, ``file.py:factory``, or a file to be trusted.
    weights : Path or None
        For a factory.
    window : int or None
        Window length in bp, where the model doesn't carry it.
    alphabet, layout : str or None
        Where they differ from the model's own, or, if it names none, from `ALPHABET` and the first layout;
        one of `LAYOUTS` or of `FORMS`.
    trust : bool
        Whether files that can run code may be loaded.
    inputs : tuple of str
        Other inputs of the model, held constant: ``NAME=SHAPE`` or ``NAME=SHAPE:VALUE``; or by window,
        ``NAME=FILE``.
    model_class : str or None
        Of a checkpoint: what makes its model, ``package.module:Class`` or ``file.py:Class``.
    by_window : bool
        Whether rows of files are given to each window, so that inputs may name files.
    tokens : str or None
        Which tokens the model takes, where it takes ids: a file with details, or ids of bases.
    """

    reference: str
    weights: Path | None = None
    window: int | None = None
    alphabet: str | None = None
    layout: str | None = None
    trust: bool = False
    inputs: tuple[str, ...] = ()
    model_class: str | None = None
    by_window: bool = False
    tokens: str | None = None
