"""One Keras layer with its arrays, as translators read it, and what they give back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, NoReturn

import numpy as np

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.importing.keras.config import KerasLayer

Array = Any  # float32 arrays of h5py


@dataclass(frozen=True, slots=True)
class Piece:
    """One entry of the list of layers, with its tensors by their PyTorch names."""

    type: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    tensors: Mapping[str, Array] = field(default_factory=dict)
    activation: str = "linear"
    suffix: str = ""


ACTIVATIONS = MappingProxyType(
    {
        **{name: name for name in ("linear", "relu", "relu6", "elu", "selu", "gelu", "silu", "mish", "tanh")},
        **{name: name for name in ("sigmoid", "softmax", "softplus", "softsign", "exponential")},
        "swish": "silu",
        "log_softmax": "log-softmax",
        None: "linear",
    }
)


@dataclass(frozen=True, slots=True)
class Source:
    """A layer to translate.

    Attributes
    ----------
    layer : KerasLayer
    arrays : tuple of (str, array)
    place : str
        The file, for messages.
    """

    layer: KerasLayer
    arrays: tuple[tuple[str, Array], ...]
    place: str

    def refuse(self, why: str) -> NoReturn:
        """Stop at this layer.

        Raises
        ------
        ModelError
        """
        raise ModelError(f"{self.place}: layer '{self.layer.name}' ({self.layer.kind}) {why}")

    def get(self, key: str, default: Any = None) -> Any:
        """Give a setting of the layer."""
        return self.layer.config.get(key, default)

    def allow(self, key: str, *values: Any, default: Any = None) -> Any:
        """Give a setting, if it is one of those that can be translated."""
        value = self.get(key, default)
        if value not in values:
            allowed = " or ".join(repr(v) for v in values)
            self.refuse(f"has {key}={value!r}; only {allowed} can be imported")
        return value

    def integer(self, key: str, default: Any = None) -> int:
        """Give a setting that is a whole number, maybe in a list of one."""
        value = self.get(key, default)
        if isinstance(value, (list, tuple)) and len(value) == 1:
            value = value[0]
        if isinstance(value, bool) or not isinstance(value, int):
            self.refuse(f"has {key}={value!r}, which isn't one whole number")
        return value

    def number(self, key: str, default: float) -> float:
        """Give a setting that is a number."""
        value = self.get(key, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            self.refuse(f"has {key}={value!r}, which isn't a number")
        return float(value)

    def pair(self, key: str) -> tuple[int, int]:
        """Give a setting of two whole numbers, or of one for both."""
        value = self.get(key)
        pair = (value, value) if isinstance(value, int) else tuple(value or ())
        if len(pair) != 2 or not all(isinstance(n, int) and n >= 0 for n in pair):
            self.refuse(f"has {key}={value!r}, which isn't a pair of whole numbers")
        return pair[0], pair[1]

    def array(self, role: str, n_axes: int) -> Array:
        """Give an array of the layer."""
        array = self.optional(role)
        if array is None:
            self.refuse(f"has no '{role}' among its weights; get the file again")
        if array.ndim != n_axes:
            self.refuse(f"has '{role}' of shape {array.shape}; {n_axes} axes were expected")
        return array

    def optional(self, role: str) -> Array | None:
        """Give an array of the layer, or None."""
        return next((array for name, array in self.arrays if name == role), None)

    def bias(self) -> dict[str, Array]:
        """Give the bias as PyTorch names it, if the layer has one."""
        return {"bias": self.array("bias", 1)} if self.get("use_bias", True) else {}

    def channels_last(self) -> None:
        """Refuse a layer whose channels come before positions."""
        self.allow("data_format", "channels_last", None, default="channels_last")

    def with_activation(self, piece: Piece, key: str = "activation") -> list[Piece]:
        """Add the function the layer ends with."""
        value = _function_name(self.get(key))
        if value == "leaky_relu":
            return [
                Piece(piece.type, piece.arguments, piece.tensors, suffix="_linear"),
                Piece("leaky-relu", {"negative_slope": 0.2}),
            ]
        if value not in ACTIVATIONS:
            self.refuse(f"has activation '{value}', which can't be imported; port the model to PyTorch")
        return [Piece(piece.type, piece.arguments, piece.tensors, ACTIVATIONS[value], piece.suffix)]


Translator = Callable[[Source], list[Piece]]


def _function_name(value: Any) -> Any:
    """Read an activation, by name or as an object of Keras; of the user's own with its module."""
    if not isinstance(value, Mapping):
        return value if value is None or isinstance(value, str) else str(value)
    inner = value.get("config")
    name = inner if isinstance(inner, str) else str(value.get("class_name"))
    module = str(value.get("module") or "keras")
    return name if module.partition(".")[0] in ("keras", "builtins") else f"{module}.{name}"


def ascending(array: Array, *axes: int) -> Array:
    """Transpose, without sharing memory."""
    return np.ascontiguousarray(array.transpose(axes))
