"""Layer, group, instance and RMS normalisation."""

import torch
from torch import Tensor

from sparselrp_cli.graph.conversion.call import Call, Converted, NoRule, chain
from sparselrp_cli.graph.operations import BatchDim, Normalise


def layer_norm(call: Call) -> Converted:
    rows = len(call["normalized_shape"])
    weight, bias = call.constant("weight"), call.constant("bias")
    _check_rows(call, rows)
    return chain(call, Normalise("layer", rows, 0, True, call.get("eps", 1e-5), weight, bias), name="input")


def rms_norm(call: Call) -> Converted:
    rows = len(call["normalized_shape"])
    _check_rows(call, rows)
    epsilon = call.get("eps", torch.finfo(call.dtype).eps)
    return chain(call, Normalise("RMS", rows, 0, False, epsilon, call.constant("weight"), None), name="input")


def _check_rows(call: Call, rows: int) -> None:
    if any(isinstance(d, BatchDim) for d in call.shape("input")[-rows:]):
        raise NoRule("it works along the samples, which must stay apart")


def group_norm(call: Call) -> Converted:
    return _grouped(call, "group", int(call["num_groups"]))


def instance_norm(call: Call) -> Converted:
    return _grouped(call, "instance", int(str(call.shape("input")[1])))


def _grouped(call: Call, name: str, groups: int) -> Converted:
    shape = call.shape("input")
    if not isinstance(shape[0], BatchDim):
        raise NoRule("samples must be its first axis")

    def spread(vector: Tensor | None) -> Tensor | None:
        return None if vector is None else vector.reshape(-1, *[1] * (len(shape) - 2))

    weight, bias = spread(call.constant("weight")), spread(call.constant("bias"))
    return chain(call, Normalise(name, 0, groups, True, call.get("eps", 1e-5), weight, bias), name="input")
