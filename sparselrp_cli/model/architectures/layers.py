"""A network written down as a list of layers, as plain data."""

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from sparselrp_cli.model.architectures.activations import activate, check_activation
from sparselrp_cli.model.architectures.parts import MERGES, PARTS

INPUT = "input"


def usable_name(name: str) -> bool:
    """Whether a layer can have this name: no dots, and nothing a module has already."""
    return bool(name) and "." not in name and not hasattr(nn.ModuleDict(), name)


class Layers(nn.Module):
    """A directed graph of layers, given as plain data in the order they are computed.

    A layer is a mapping: ``name``, ``type`` (a key of `PARTS` or `MERGES`), ``inputs`` (names of earlier
    layers, or ``input`` for the window), maybe ``activation``, and the type's own arguments, as numbers.

    Parameters
    ----------
    layers : sequence of mapping
    outputs : sequence of str
        Names of the layers that are returned.
    """

    def __init__(self, layers: Sequence[Mapping[str, Any]], outputs: Sequence[str]) -> None:
        super().__init__()
        self.outputs = tuple(outputs)
        self.steps = [_Step(dict(layer)) for layer in layers]
        known = {INPUT}
        for step in self.steps:
            step.check(known)
            known.add(step.name)
        if missing := [name for name in self.outputs if name not in known]:
            raise ValueError(f"output '{missing[0]}' isn't one of the layers")
        if not self.outputs:
            raise ValueError("no outputs")
        self.parts = nn.ModuleDict(
            {s.name: PARTS[s.type](**s.arguments) for s in self.steps if s.type in PARTS}
        )

    def forward(self, x: Tensor) -> Tensor | dict[str, Tensor]:
        """Compute the outputs of one-hot windows (N, 4, L): a tensor if there is one, else a mapping."""
        values = self.compute(x)
        if len(self.outputs) == 1:
            return values[self.outputs[0]]
        return {name: values[name] for name in self.outputs}

    def compute(self, x: Tensor) -> dict[str, Tensor]:
        """Compute every layer: (N, C, L) or (N, C) by name."""
        values = {INPUT: x}
        for step in self.steps:
            inputs = [values[name] for name in step.inputs]
            if step.type in MERGES:
                value = MERGES[step.type](inputs, **step.arguments)
            else:
                value = self.parts[step.name](inputs[0])
            values[step.name] = activate(value, step.activation)
        return values


class _Step:
    """One layer of the list, checked."""

    def __init__(self, layer: dict[str, Any]) -> None:
        try:
            self.name, self.type = str(layer.pop("name")), str(layer.pop("type"))
            self.inputs = tuple(layer.pop("inputs"))
        except KeyError as error:
            raise ValueError(f"a layer has no {error}") from error
        self.activation: str = layer.pop("activation", "linear")
        self.arguments = layer
        check_activation(self.activation, self.name)

    def check(self, known: set[str]) -> None:
        if not usable_name(self.name):
            raise ValueError(f"a layer can't be named '{self.name}'")
        if self.type not in PARTS and self.type not in MERGES:
            raise ValueError(f"layer '{self.name}' is of unknown type '{self.type}'")
        if self.name in known:
            raise ValueError(f"two layers are named '{self.name}'")
        if missing := [name for name in self.inputs if name not in known]:
            raise ValueError(f"layer '{self.name}' takes '{missing[0]}', which isn't computed before it")
        if len(self.inputs) < 1 or (self.type in PARTS and len(self.inputs) != 1):
            raise ValueError(f"layer '{self.name}' takes {len(self.inputs)} inputs")
