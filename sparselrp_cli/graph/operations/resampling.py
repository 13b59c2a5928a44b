"""Values at other places between those of a tensor, ``grid_sample``, where the places are constant."""

from types import MappingProxyType

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.aten_call import Place
from sparselrp_cli.graph.call import Call, Chain, Converted, Converters, NoRule
from sparselrp_cli.graph.operations.homogeneous import Homogeneous
from sparselrp_cli.graph.shapes import sample_axis

aten = torch.ops.aten
_BICUBIC = 2


def resample(call: Call) -> Converted:
    source, grid = call.activation("input"), call["grid"]
    if isinstance(grid, fx.Node):
        raise NoRule("the places that it reads depend on the sequence; only constant places have a rule")
    if sample_axis(call.shape_of(source)) or len(grid) != 1:
        raise NoRule("its places differ between samples")
    mode, padding = int(call["interpolation_mode"]), int(call["padding_mode"])
    arguments = (
        ("x", Place(0)), ("grid", call.weight("grid")), ("mode", mode), ("padding", padding),
        ("aligned", bool(call["align_corners"])),
    )  # fmt: skip
    return Chain((Homogeneous(resampled, arguments, "resample", sign=mode != _BICUBIC),), (source,))


def resampled(x: Tensor, grid: Tensor, mode: int, padding: int, aligned: bool) -> Tensor:
    """Read each sample at the same places."""
    found: Tensor = aten.grid_sampler_2d(x, grid.expand(len(x), -1, -1, -1), mode, padding, aligned)
    return found


CONVERTERS: Converters = MappingProxyType(
    {aten.grid_sampler_2d.default: resample, aten.grid_sampler.default: resample}
)
