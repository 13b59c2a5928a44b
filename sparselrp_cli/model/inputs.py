"""Models with more inputs than the sequence: the others, such as control tracks, are held constant."""

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError

_FORM = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<shape>\d+(?:x\d+)*)(?::(?P<value>[-+.\deE]+))?")
_MAX_NUMBERS = 10**8


class WithConstantInputs(nn.Module):
    """A model whose other inputs are constants, the same for every sample.

    Parameters
    ----------
    module : nn.Module
    constants : dict of str to Tensor
        By the name of forward's parameter; shaped as for one sample, without the sample axis.
    sequence : str
        The parameter of forward that takes the sequence.
    """

    def __init__(self, module: nn.Module, constants: dict[str, Tensor], sequence: str) -> None:
        super().__init__()
        self.module = module
        self.sequence = sequence
        self.names = tuple(constants)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)

    def forward(self, x: Tensor) -> Any:
        given = {}
        for name in self.names:
            value = getattr(self, f"constant_{name}")
            given[name] = value.unsqueeze(0).expand(x.shape[0], *value.shape)
        return self.module(**{self.sequence: x}, **given)


def hold_inputs(module: nn.Module, texts: tuple[str, ...], dtype: torch.dtype) -> nn.Module:
    """Hold inputs constant, written ``NAME=SHAPE`` or ``NAME=SHAPE:VALUE``, such as ``control=2x2114:0``.

    Raises
    ------
    ModelError
        If a text can't be read or the model's forward has no such parameter.
    """
    if not texts:
        return module
    parameters = [p for p in inspect.signature(module.forward).parameters.values() if p.kind != p.VAR_KEYWORD]
    names = [p.name for p in parameters]
    constants = {}
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise ModelError(
                f"--input '{text}': write NAME=SHAPE or NAME=SHAPE:VALUE, such as control=2x2114:0"
            )
        if match["name"] not in names:
            raise ModelError(
                f"--input '{text}': the model's forward takes {', '.join(names)}, not '{match['name']}'"
            )
        if match["name"] in constants:
            raise ModelError(f"--input '{text}': '{match['name']}' is held twice")
        constants[match["name"]] = _constant(match, text, dtype)
    free = [n for n in names if n not in constants]
    if not free:
        raise ModelError("--input holds every input of the model constant; none is left for the sequence")
    return WithConstantInputs(module, constants, free[0])


def _constant(match: re.Match[str], text: str, dtype: torch.dtype) -> Tensor:
    shape = [int(size) for size in match["shape"].split("x")]
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
    return torch.full(shape, value, dtype=dtype)
