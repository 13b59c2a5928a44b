"""LSTM and GRU of Keras in PyTorch's order of gates."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from sparselrp_cli.model.importing.keras.source import Array, Piece, Source, ascending

# Keras keeps LSTM gates as input, forget, cell, output, as PyTorch does; GRU gates as update, reset, new,
# where PyTorch wants reset, update, new.
_ORDER = {"LSTM": (0, 1, 2, 3), "GRU": (1, 0, 2)}


def recurrent(source: Source) -> list[Piece]:
    """Translate an LSTM or GRU in one direction."""
    if source.get("go_backwards"):
        source.refuse("goes backwards, which can be imported only inside Bidirectional")
    return [_piece(source, [source])]


def bidirectional(source: Source) -> list[Piece]:
    """Translate both directions of an LSTM or GRU."""
    source.allow("merge_mode", "concat")
    inner = source.get("layer")
    if not isinstance(inner, Mapping) or inner.get("class_name") not in _ORDER:
        kind = inner.get("class_name") if isinstance(inner, Mapping) else inner
        source.refuse(f"wraps a {kind}; only LSTM and GRU can be imported inside it")
    half = len(source.arrays) // 2
    directions = [
        _direction(source, inner, source.arrays[:half]),
        _direction(source, source.get("backward_layer") or inner, source.arrays[half:]),
    ]
    return [_piece(directions[0], directions)]


def _direction(source: Source, inner: Mapping[str, Any], arrays: tuple[tuple[str, Array], ...]) -> Source:
    layer = source.layer
    made = replace(layer, kind=str(inner["class_name"]), config=inner["config"])
    return Source(made, arrays, source.place)


def _piece(source: Source, directions: list[Source]) -> Piece:
    tensors: dict[str, Array] = {}
    for direction, suffix in zip(directions, ("", "_reverse"), strict=False):
        _check(direction)
        tensors.update({f"cells.{k}_l0{suffix}": v for k, v in _tensors(direction).items()})
    kernel = source.array("kernel", 2)
    arguments = {
        "kind": source.layer.kind.lower(),
        "in_channels": kernel.shape[0],
        "out_channels": source.array("recurrent_kernel", 2).shape[0],
        "bidirectional": len(directions) == 2,
        "sequence": bool(source.get("return_sequences", False)),
    }
    return Piece("recurrent", arguments, tensors)


def _check(source: Source) -> None:
    source.allow("activation", "tanh", default="tanh")
    source.allow("recurrent_activation", "sigmoid", default="hard_sigmoid")
    for key in ("return_state", "stateful"):
        source.allow(key, False, None, default=False)
    if source.layer.kind == "GRU" and not source.get("reset_after", False):
        source.refuse("has reset_after=False, which PyTorch's GRU can't compute; port the model to PyTorch")


def _tensors(source: Source) -> dict[str, Array]:
    """Give the arrays (in, gates * out) as PyTorch keeps them, (gates * out, in)."""
    kind = source.layer.kind
    kernel, inner = source.array("kernel", 2), source.array("recurrent_kernel", 2)
    n_gates = len(_ORDER[kind])
    given, recurrent_bias = np.zeros(kernel.shape[1], np.float32), np.zeros(kernel.shape[1], np.float32)
    if source.get("use_bias", True) and kind == "GRU":
        given, recurrent_bias = source.array("bias", 2)
    elif source.get("use_bias", True):
        given = source.array("bias", 1)

    def ordered(array: Array) -> Array:
        gates = np.split(array, n_gates)
        return np.concatenate([gates[i] for i in _ORDER[kind]])

    return {
        "weight_ih": ordered(ascending(kernel, 1, 0)),
        "weight_hh": ordered(ascending(inner, 1, 0)),
        "bias_ih": ordered(given),
        "bias_hh": ordered(recurrent_bias),
    }
