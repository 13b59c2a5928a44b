"""Element-wise functions: a row for each, with all that is known of it.

To add one, add a row. Every other list of functions is derived from this table.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

aten = torch.ops.aten


@dataclass(frozen=True, slots=True)
class Function:
    """An element-wise function ``f``.

    Attributes
    ----------
    name : str
        As `inspect` shows it.
    call : callable
        Computes it, given x and the arguments.
    overload : ATen overload or None
        What it is traced as. None where a converter of `operations.activation` decides by the arguments.
    arguments : tuple of str
        What else of the traced call counts, by its names in the schema of `overload`.
    value, slope : float
        ``f(0)``, which absorbs relevance as a bias does, and ``f'(0)``. Both 0 where `f` has none at 0.
    below : float or None
        Where ``f(x)`` is x above 0 and proportional to it below: the factor there.
    non_negative : bool
        Whether ``f(x) >= 0`` for every x.
    keeps_sign : bool
        Whether ``f(x) >= 0`` for ``x >= 0``.
    gate : bool
        Whether it makes a scale for signals: in a product with one the signal takes all.
    keeps_gate : bool
        Whether ``f`` of a gate still is one.
    end : bool
        Whether it is an increasing function that models end in to return probabilities or rates; what is
        explained is then what goes into it.
    by_arguments : callable or None
        From the arguments to the facts above that depend on them.
    """

    name: str
    call: Callable[..., Tensor]
    overload: object = None
    arguments: tuple[str, ...] = ()
    value: float = 0.0
    slope: float = 0.0
    below: float | None = None
    non_negative: bool = False
    keeps_sign: bool = True
    gate: bool = False
    keeps_gate: bool = False
    end: bool = False
    by_arguments: Callable[..., Mapping[str, Any]] | None = None

    def given(self, arguments: tuple[Any, ...]) -> "Function":
        """Give the row for some arguments."""
        if self.by_arguments is None or not arguments:
            return self
        return replace(self, **self.by_arguments(*arguments))


def _gelu(x: Tensor, approximate: str = "none") -> Tensor:
    return functional.gelu(x, approximate=approximate)


def _prelu(x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x > 0, x, slope * x)


def _hardsigmoid(x: Tensor) -> Tensor:
    # torch's own divides by 6 in float32 on GPUs, also in float64.
    return functional.relu6(x + 3) / 6


def _hardswish(x: Tensor) -> Tensor:
    return x * _hardsigmoid(x)


def _threshold(x: Tensor, threshold: float, value: float) -> Tensor:
    return functional.threshold(x, threshold, value)


def _at_threshold(threshold: float, value: float) -> dict[str, Any]:
    below = threshold >= 0
    return {
        "value": float(value) if below else 0.0,
        "slope": 0.0 if below else 1.0,
        "non_negative": value >= 0 and below,
        "keeps_sign": value >= 0 or not below,
    }


def _clamped(low: float, high: float) -> dict[str, Any]:
    slope = 1.0 if low < 0 < high else 0.0
    return {
        "value": min(max(0.0, low), high), "slope": slope, "non_negative": low >= 0, "keeps_sign": high >= 0
    }  # fmt: skip


def _to_the_power(exponent: float) -> dict[str, Any]:
    # A negative power of a size, such as 1/sqrt(variance), scales what it is multiplied with.
    return {"name": f"power {exponent:g}", "non_negative": exponent % 2 == 0, "gate": exponent < 0}


_ROWS = (
    Function("relu", torch.relu, aten.relu.default, below=0.0, non_negative=True),
    Function(
        "leaky_relu", functional.leaky_relu, aten.leaky_relu.default, ("negative_slope",), below=0.01,
        by_arguments=lambda slope: {"below": float(slope)},
    ),
    Function("prelu", _prelu),
    Function("relu6", functional.relu6, aten.relu6.default, non_negative=True),
    Function("hardtanh", functional.hardtanh, slope=1.0, keeps_gate=True, by_arguments=_clamped),
    Function("threshold", _threshold, by_arguments=_at_threshold),
    Function("elu", functional.elu, slope=1.0, by_arguments=lambda alpha: {"slope": float(alpha)}),
    Function("celu", functional.celu, aten.celu.default, ("alpha",), slope=1.0),
    Function("selu", functional.selu, aten.selu.default, slope=1.0507009873554805),
    Function("gelu", _gelu, aten.gelu.default, ("approximate",), slope=0.5),
    Function("silu", functional.silu, aten.silu.default, slope=0.5),
    Function("mish", functional.mish, aten.mish.default, slope=0.6),
    Function("hardswish", _hardswish, aten.hardswish.default, slope=0.5),
    Function("tanh", torch.tanh, aten.tanh.default, slope=1.0),
    Function("atan", torch.atan, aten.atan.default, slope=1.0),
    Function("sinh", torch.sinh, aten.sinh.default, slope=1.0),
    Function("cosh", torch.cosh, aten.cosh.default, value=1.0, non_negative=True),
    Function("tan", torch.tan, aten.tan.default, slope=1.0, keeps_sign=False),
    Function("asinh", torch.asinh, aten.asinh.default, slope=1.0),
    Function("atanh", torch.atanh, aten.atanh.default, slope=1.0),
    Function("asin", torch.asin, aten.asin.default, slope=1.0),
    Function("acos", torch.acos, aten.acos.default, value=math.pi / 2, slope=-1.0, non_negative=True),
    Function(
        "erfc", torch.erfc, aten.erfc.default, value=1.0, slope=-2 / math.sqrt(math.pi), non_negative=True
    ),
    Function("erf", torch.erf, aten.erf.default, slope=2 / math.sqrt(math.pi)),
    Function(
        "sigmoid", torch.sigmoid, aten.sigmoid.default, value=0.5, slope=0.25, non_negative=True, gate=True,
        end=True,
    ),
    Function(
        "hardsigmoid", _hardsigmoid, aten.hardsigmoid.default, value=0.5, slope=1 / 6,
        non_negative=True, gate=True, end=True,
    ),
    Function(
        "log_sigmoid", functional.logsigmoid, aten.log_sigmoid.default, value=-math.log(2.0), slope=0.5,
        keeps_sign=False, end=True,
    ),
    Function(
        "softplus", functional.softplus, aten.softplus.default, ("beta", "threshold"), value=math.log(2.0),
        slope=0.5, non_negative=True, end=True,
        by_arguments=lambda beta, _threshold: {"value": math.log(2.0) / float(beta)},
    ),
    Function("exp", torch.exp, aten.exp.default, value=1.0, slope=1.0, non_negative=True, end=True),
    Function(
        "exp2", torch.exp2, aten.exp2.default, value=1.0, slope=math.log(2.0), non_negative=True, end=True
    ),
    Function("expm1", torch.expm1, aten.expm1.default, slope=1.0, end=True),
    Function("log", torch.log, aten.log.default, keeps_sign=False, end=True),
    Function("entr", torch.special.entr, aten.special_entr.default, keeps_sign=False),
    Function("logit", torch.logit, aten.logit.default, ("eps",), keeps_sign=False, end=True),
    Function("log1p", torch.log1p, aten.log1p.default, slope=1.0, end=True),
    Function("log2", torch.log2, aten.log2.default, keeps_sign=False, end=True),
    Function("log10", torch.log10, aten.log10.default, keeps_sign=False, end=True),
    Function("sin", torch.sin, aten.sin.default, slope=1.0, keeps_sign=False),
    Function("cos", torch.cos, aten.cos.default, value=1.0, keeps_sign=False),
    Function("abs", torch.abs, aten.abs.default, non_negative=True),
    Function("sqrt", torch.sqrt, aten.sqrt.default, non_negative=True),
    Function("rsqrt", torch.rsqrt, aten.rsqrt.default, non_negative=True, gate=True),
    Function("reciprocal", torch.reciprocal, aten.reciprocal.default, gate=True),
    Function("power", torch.pow, by_arguments=_to_the_power),
)  # fmt: skip
FUNCTIONS: Mapping[str, Function] = MappingProxyType({row.name: row for row in _ROWS})
"""All rows by name."""
