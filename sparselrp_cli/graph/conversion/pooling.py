"""Pooling and reductions."""

from collections.abc import Callable

from sparselrp_cli.graph.conversion.call import Call, Converted, NoRule, axis_of, chain, each
from sparselrp_cli.graph.operations import AdaptivePool, AveragePool, Maximum, MaxPool, Mean, Sum


def max_pool(spatial: int) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        width = each(call["kernel_size"], spatial)
        pool = MaxPool(
            width, each(call.get("stride") or width, spatial), each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), each(call.get("dilation", 1), spatial),
        )  # fmt: skip
        return chain(call, pool)

    return convert


def average_pool(spatial: int) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        width = each(call["kernel_size"], spatial)
        pool = AveragePool(
            width, each(call.get("stride") or width, spatial), each(call.get("padding", 0), spatial),
            call.get("ceil_mode", False), call.get("count_include_pad", True), call.get("divisor_override"),
        )  # fmt: skip
        return chain(call, pool)

    return convert


def adaptive_pool(spatial: int, maximum: bool) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a max pool carry no relevance")
        return chain(call, AdaptivePool(each(call["output_size"], spatial), maximum))

    return convert


def reduction(kind: type[Sum] | type[Mean] | type[Maximum]) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if call.item:
            raise NoRule("the indices of a maximum carry no relevance")
        shape = call.shape()
        axes = call.get("dim", ())
        axes = (axes,) if isinstance(axes, int) else tuple(axes) or tuple(range(len(shape)))
        axes = tuple(axis_of(a, shape) for a in axes)
        return chain(call, kind(axes, bool(call.get("keepdim", False))))

    return convert
