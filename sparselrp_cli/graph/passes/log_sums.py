"""Read the logarithm of a sum of exponentials as what it is, whichever way it is written.

``log(exp(a) + exp(b))``, ``log(exp(x).sum())`` and ``log(exp(x).mean())`` become log-sum-exps, which have a
rule of their own; taken apart the exponentials would be explained, whose logarithm is asked for.
"""

import dataclasses
import math
from collections.abc import Sequence
from types import MappingProxyType

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import Operation, Transport
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.addition import Add, Shift
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.log_sum_exp import LogSumExp
from sparselrp_cli.graph.operations.pad import Pad
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.reduction import Mean, Sum
from sparselrp_cli.graph.shapes import Dim, numbers, sample_axis

_BASES = MappingProxyType({"log": math.e, "log2": 2.0, "log10": 10.0})
_SOFTPLUS = Activation("softplus", (1.0, 50.0))
"""Exact in float64 also where torch's would take the identity."""


def read_log_sums(graph: CanonicalGraph) -> CanonicalGraph:
    """Put a log-sum-exp in place of each logarithm of sums of exponentials; nothing else is touched."""
    log_sums = _LogSums(graph)
    nodes = tuple(new for node in graph.nodes for new in log_sums.rewritten(node))
    if nodes == graph.nodes:
        return graph
    return dataclasses.replace(graph, nodes=nodes).restricted(tuple(range(len(graph.outputs))))


class _LogSums:
    def __init__(self, graph: CanonicalGraph) -> None:
        self.graph = graph
        self.nodes = graph.by_name()
        self.shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}

    def rewritten(self, node: Node) -> list[Node]:
        """Give what stands for a node: itself, or what takes a logarithm apart."""
        base = _BASES.get(node.operation.row.name) if isinstance(node.operation, Activation) else None
        argument = self.nodes.get(node.inputs[0]) if base is not None else None
        if base is None or argument is None or _is(argument, "exp"):
            return [node]
        made = _Made(node)
        source = self._logarithm(argument.name, made)
        if source is None:
            return [node]
        factor = Scale(_constant(self.graph, 1 / math.log(base)))
        return [*made.nodes, dataclasses.replace(node, operation=factor, inputs=(source,))]

    def _logarithm(self, name: str, made: "_Made") -> str | None:
        """Make the logarithm of a tensor from logarithms of what it is made of; None where it can't be."""
        node = self.nodes.get(name)
        if node is None:
            return None
        if _is(node, "exp"):
            return node.inputs[0]
        parts = [self._logarithm(i, made) for i in node.inputs]
        known = [part for part in parts if part is not None]
        return self._combined(node, known, made) if len(known) == len(parts) else None

    def _combined(self, node: Node, parts: list[str], made: "_Made") -> str | None:
        """Make the logarithm of what an operation makes from the logarithms of what it reads."""
        operation = node.operation
        match operation:
            case Sum() | Mean():
                total = made.put(LogSumExp(operation.axes, operation.keepdim), parts, node.shape)
                terms = numbers(self.shapes[node.inputs[0]]) // numbers(node.shape)
                return (
                    total if isinstance(operation, Sum) else self._plus(-math.log(terms), total, node, made)
                )
            case Add(alpha=1) if all(self.shapes[name] == node.shape for name in node.inputs):
                axis = sample_axis(node.shape) + 1
                side_by_side = Concatenate(axis, (None, None), True, axis - 1)
                shape = (*node.shape[:axis], 2, *node.shape[axis:])
                return made.put(LogSumExp((axis,), False), [made.put(side_by_side, parts, shape)], node.shape)
            case Scale(factor=factor) if factor.numel() == 1 and factor.item() > 0:
                return self._plus(math.log(factor.item()), parts[0], node, made)
            case Shift(constant=constant) if constant.numel() == 1 and constant.item() > 0:
                # log(exp(a) + k) is log k + softplus(a - log k).
                log = math.log(constant.item())
                rest = made.put(_SOFTPLUS, [self._plus(-log, parts[0], node, made)], node.shape)
                return self._plus(log, rest, node, made)
            case Transport() if len(parts) == 1 and not isinstance(operation, Pad | Concatenate):
                return made.put(operation, parts, node.shape)
        return None

    def _plus(self, constant: float, source: str, like: Node, made: "_Made") -> str:
        return made.put(Shift(_constant(self.graph, constant)), [source], like.shape)


class _Made:
    """The nodes that take the place of one."""

    def __init__(self, stands_for: Node) -> None:
        self.stands_for = stands_for
        self.nodes: list[Node] = []

    def put(self, operation: Operation, inputs: Sequence[str], shape: tuple[Dim, ...]) -> str:
        name = f"{self.stands_for.name}.{len(self.nodes)}"
        self.nodes.append(
            dataclasses.replace(
                self.stands_for, name=name, operation=operation, inputs=tuple(inputs), shape=shape
            )
        )
        return name


def _is(node: Node, function: str) -> bool:
    return isinstance(node.operation, Activation) and node.operation.row.name == function


def _constant(graph: CanonicalGraph, value: float) -> Tensor:
    # In float64, so that a graph that is cast to it is exact; a number alone doesn't change a tensor's type.
    return torch.tensor(value, dtype=torch.float64, device=graph.device)
