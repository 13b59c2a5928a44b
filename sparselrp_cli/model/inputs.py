"""Models with more inputs than the sequence: the others, such as control tracks, are held constant."""

import inspect
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.forms import in_form
from sparselrp_cli.model.rows import Rows, asked_rows, read_rows

_FORM = re.compile(
    r"(?P<name>[A-Za-z_]\w*)=(?P<shape>\d+(?:x\d+)*|(?=:))(?::(?P<value>[-+.\deE]+)(?::(?P<type>int|bool))?)?"
)
_TYPES: Mapping[str | None, torch.dtype] = MappingProxyType({"int": torch.int64, "bool": torch.bool})
_MAX_NUMBERS = 10**8
CHANNELS = "channels"
"""Names what stands beside A, C, G and T in the sequence's own input, unless forward has such a parameter."""


class WithConstantInputs(nn.Module):
    """A model whose other inputs are constants, the same for every sample, or rows, of each sample its own.

    Parameters
    ----------
    module : nn.Module
    constants : dict of str to Tensor
        By the name of forward's parameter; shaped as for one sample, without the sample axis.
    sequence : str
        The parameter of forward that takes the sequence.
    base_axis : int
        The axis of its bases, and of channels beside them.
    by_window : tuple of str
        Those of the constants that stand for rows, where none are given.
    form : str or None
        The form of `FORMS` in which the model takes its sequence.
    """

    def __init__(
        self, module: nn.Module, constants: dict[str, Tensor], sequence: str, base_axis: int = 1,
        by_window: tuple[str, ...] = (), form: str | None = None,
    ) -> None:  # fmt: skip
        super().__init__()
        self.module = module
        self.sequence, self.base_axis = sequence, base_axis
        self.by_window, self.form = by_window, form
        named = parameters_of(module)
        self.names = tuple(
            name for name in constants if name != CHANNELS or name in named or _takes_any(module)
        )
        self.beside = set(constants) - set(self.names)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)

    def forward(self, x: Tensor, rows: tuple[Tensor, ...] | None = None, **told: Tensor) -> Any:
        """Compute the outputs; `rows` (N, ...) are in the order of `by_window`, `told` is handed on."""
        values = dict(zip(self.by_window, rows or (), strict=False))
        given = {name: self._of_all(name, x, values) for name in self.names}
        for name in self.beside:
            more = self._of_all(name, x, values)
            x = torch.cat([x, more if self.base_axis == 1 else more.transpose(1, 2)], self.base_axis)
        x = x if self.form is None else in_form(self.form, x)
        return self.module(**{self.sequence: x}, **given, **told)

    def _of_all(self, name: str, x: Tensor, rows: dict[str, Tensor]) -> Tensor:
        return rows[name] if name in rows else self.rows_of(x.shape[0], (name,))[name]

    def rows_of(self, n_samples: int, names: tuple[str, ...] | None = None) -> dict[str, Tensor]:
        """Give constants for every sample, by name; of what stands for rows, if no names are given."""
        values = {n: getattr(self, f"constant_{n}") for n in (self.by_window if names is None else names)}
        return {n: v.unsqueeze(0).expand(n_samples, *v.shape) for n, v in values.items()}


def parameters_of(module: nn.Module) -> dict[str, inspect.Parameter]:
    """Give the parameters of a module's forward that can be named, in order."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def hold_inputs(
    module: nn.Module, texts: tuple[str, ...], dtype: torch.dtype, base_axis: int = 1, form: str | None = None
) -> nn.Module:
    """Hold inputs constant, written ``NAME=SHAPE`` or ``NAME=SHAPE:VALUE``, such as ``control=2x2114:0``.

    ``NAME=SHAPE:VALUE:int`` (or ``bool``) holds whole numbers, ``NAME=:VALUE:int`` one for each sample.
    ``NAME=FILE.npz`` holds the first row of a file, in the place of rows that are given window by window.

    Raises
    ------
    ModelError
        If a text can't be read or the model's forward has no such parameter.

    ``channels=CxL``, where forward has no parameter of that name, are rows beside A, C, G and T.
    """
    if not texts and not _wants_a_name(module):
        return module
    names, more = list(parameters_of(module)), _takes_any(module)
    constants: dict[str, Tensor] = {}
    by_window = []
    for text in texts:
        name, value = _held(text, dtype)
        if name not in names and not more and not (name == CHANNELS and value.ndim == 2):
            raise ModelError(f"--input '{text}': the model's forward takes {', '.join(names)}, not '{name}'")
        if name in constants:
            raise ModelError(f"--input '{text}': '{name}' is held twice")
        constants[name] = value
        if asked_rows(text) is not None:
            by_window.append(name)
    free = [n for n in names if n not in constants]
    if not free:
        raise ModelError("--input holds every input of the model constant; none is left for the sequence")
    return WithConstantInputs(module, constants, free[0], base_axis, tuple(by_window), form)


def _wants_a_name(module: nn.Module) -> bool:
    """Whether a forward takes its first input by name only."""
    first = next(iter(parameters_of(module).values()), None)
    return first is not None and first.kind == first.KEYWORD_ONLY


def _takes_any(module: nn.Module) -> bool:
    """Whether a forward takes inputs of any name."""
    parameters = inspect.signature(module.forward).parameters.values()
    return any(p.kind == p.VAR_KEYWORD for p in parameters)


def _held(text: str, dtype: torch.dtype) -> tuple[str, Tensor]:
    """Give the name of an input, and what is held for one sample."""
    if (asked := asked_rows(text)) is not None:
        return asked.name, row_tensor(read_rows(asked)[:1], dtype)[0]
    match = _FORM.fullmatch(text)
    if match is None:
        raise ModelError(
            f"--input '{text}': write NAME=SHAPE or NAME=SHAPE:VALUE, such as control=2x2114:0, a whole"
            " number for each sample as cell=:3:int, or a file of rows, NAME=FILE.npz"
        )
    return match["name"], _constant(match, text, dtype)


def row_tensor(rows: Rows, dtype: torch.dtype) -> Tensor:
    """Give rows as a model takes them: real numbers in its type, whole numbers as int64, truths."""
    kind = {"f": dtype, "b": torch.bool}.get(rows.dtype.kind, torch.int64)
    wide = np.float64 if rows.dtype.kind == "f" else np.int64 if rows.dtype.kind in "iu" else np.bool_
    return torch.from_numpy(np.array(rows, wide)).to(kind)


def _constant(match: re.Match[str], text: str, dtype: torch.dtype) -> Tensor:
    shape = [int(size) for size in match["shape"].split("x") if size]
    numbers = 1
    for size in shape:
        numbers *= size
    if not 0 < numbers <= _MAX_NUMBERS:
        raise ModelError(f"--input '{text}': a shape of {numbers} numbers")
    try:
        value = float(match["value"] or 0)
    except ValueError as error:
        raise ModelError(f"--input '{text}': '{match['value']}' isn't a number") from error
    if abs(value) > torch.finfo(dtype).max:
        raise ModelError(f"--input '{text}': '{match['value']}' is too large")
    if match["type"] and value != int(value):
        raise ModelError(f"--input '{text}': '{match['value']}' isn't a whole number")
    return torch.full(shape, value, dtype=_TYPES.get(match["type"], dtype))
