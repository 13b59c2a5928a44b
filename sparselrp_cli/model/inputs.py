"""Models with more inputs than the sequence: the others, such as control tracks, are held constant."""

import inspect
import re
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import ModelError

_FORM = re.compile(r"(?P<name>[A-Za-z_]\w*)=(?P<shape>\d+(?:x\d+)*)(?::(?P<value>[-+.\deE]+))?")
_MAX_NUMBERS = 10**8
CHANNELS = "channels"
"""Names what stands beside A, C, G and T in the sequence's own input, unless forward has such a parameter."""


class WithConstantInputs(nn.Module):
    """A model whose other inputs are constants, the same for every sample.

    Parameters
    ----------
    module : nn.Module
    constants : dict of str to Tensor
        By the name of forward's parameter; shaped as for one sample, without the sample axis.
    sequence : str
        The parameter of forward that takes the sequence.
    base_axis : int
        The axis of its bases, and of channels beside them.
    """

    def __init__(
        self, module: nn.Module, constants: dict[str, Tensor], sequence: str, base_axis: int = 1
    ) -> None:
        super().__init__()
        self.module = module
        self.sequence, self.base_axis = sequence, base_axis
        self.names = tuple(name for name in constants if name != CHANNELS or name in parameters_of(module))
        self.beside = set(constants) - set(self.names)
        for name, value in constants.items():
            self.register_buffer(f"constant_{name}", value, persistent=False)

    def forward(self, x: Tensor) -> Any:
        given = {name: self._of_all(name, x) for name in self.names}
        for name in self.beside:
            more = self._of_all(name, x)
            x = torch.cat([x, more if self.base_axis == 1 else more.transpose(1, 2)], self.base_axis)
        return self.module(**{self.sequence: x}, **given)

    def _of_all(self, name: str, x: Tensor) -> Tensor:
        value: Tensor = getattr(self, f"constant_{name}")
        return value.unsqueeze(0).expand(x.shape[0], *value.shape)


def parameters_of(module: nn.Module) -> dict[str, inspect.Parameter]:
    """Give the parameters of a module's forward that can be named, in order."""
    parameters = inspect.signature(module.forward).parameters.values()
    return {p.name: p for p in parameters if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)}


def hold_inputs(
    module: nn.Module, texts: tuple[str, ...], dtype: torch.dtype, base_axis: int = 1
) -> nn.Module:
    """Hold inputs constant, written ``NAME=SHAPE`` or ``NAME=SHAPE:VALUE``, such as ``control=2x2114:0``.

    Raises
    ------
    ModelError
        If a text can't be read or the model's forward has no such parameter.

    ``channels=CxL``, where forward has no parameter of that name, are rows beside A, C, G and T.
    """
    if not texts:
        return module
    names = list(parameters_of(module))
    constants = {}
    for text in texts:
        match = _FORM.fullmatch(text)
        if match is None:
            raise ModelError(
                f"--input '{text}': write NAME=SHAPE or NAME=SHAPE:VALUE, such as control=2x2114:0"
            )
        beside = match["name"] == CHANNELS and match["shape"].count("x") == 1
        if match["name"] not in names and not beside:
            raise ModelError(
                f"--input '{text}': the model's forward takes {', '.join(names)}, not '{match['name']}'"
            )
        if match["name"] in constants:
            raise ModelError(f"--input '{text}': '{match['name']}' is held twice")
        constants[match["name"]] = _constant(match, text, dtype)
    free = [n for n in names if n not in constants]
    if not free:
        raise ModelError("--input holds every input of the model constant; none is left for the sequence")
    return WithConstantInputs(module, constants, free[0], base_axis)


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
