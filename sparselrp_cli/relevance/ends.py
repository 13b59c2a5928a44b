"""Ends that return probabilities or rates: from where on in a model its target is explained.

A softmax or sigmoid squashes differences, and relevance of a probability near 1 says little; logits and log
rates are what the network adds up. Where one entry is read, or the difference of two, the end is *undone*:
what goes into it is explained. Where a target averages over positions or tasks behind an end, undoing it
would let silent entries dominate, whose logits vary most and matter least. The end is then *held linear*:
what goes into it is explained, weighed by the slope at this very input, ``v = df/dy``, and the explained
score is ``sum v y``.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operation import At, Operation
from sparselrp_cli.graph.operations.activation import Activation
from sparselrp_cli.graph.operations.addition import Add, Negate, Shift, Subtract
from sparselrp_cli.graph.operations.log_sum_exp import LogSumExp
from sparselrp_cli.graph.operations.pooling import AveragePool
from sparselrp_cli.graph.operations.product import Scale
from sparselrp_cli.graph.operations.reduction import Mean, Sum
from sparselrp_cli.graph.operations.where import Where
from sparselrp_cli.graph.shapes import Dim, resolve
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.choices import Ends
from sparselrp_cli.relevance.forward import accumulate

_ENTRY_BY_ENTRY = (Scale, Shift, Negate)
"""What is passed on the way to an end that is undone, beside moves."""
_MIXING = (Sum, Mean, Add, Subtract, AveragePool, LogSumExp)
"""What puts several entries together. Its `pull` is the gradient."""


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """The last operations of a graph, back to what goes into the ends that a target reads.

    Attributes
    ----------
    nodes : tuple of Node
        From the outputs back; empty where there is no end.
    linear : bool
        Whether ends are held linear; otherwise they are undone.
    """

    nodes: tuple[Node, ...]
    linear: bool

    def outputs(self, values: dict[str, Tensor]) -> dict[str, Tensor]:
        """Give tensors by node name as they are explained: of undone ends, what goes into them."""
        if self.linear or not self.nodes:
            return values
        found = dict(values)
        for node in reversed(self.nodes):
            inputs = [found[name] for name in node.inputs]
            undone = _is_undone(node.operation)
            found[node.name] = inputs[0] if undone else node.operation.forward(*inputs)[0]
        return found

    def pull(self, weights: Mapping[str, Tensor], at: Callable[[Node], At]) -> dict[str, Tensor]:
        """Carry a functional's weights from the outputs to what goes into the ends.

        Parameters
        ----------
        weights : mapping of str to Tensor
            By output node.
        at : callable
            Gives what an operation read, made and remembered.
        """
        seeds = dict(weights)
        for node in self.nodes:
            v = seeds.pop(node.name, None)
            if v is not None:
                undone = _is_undone(node.operation) and not self.linear
                parts = (v,) if undone else node.operation.gradient(v, at(node))
                for name, part in zip(node.inputs, parts, strict=True):
                    accumulate(seeds, name, part)
        return seeds

    def describe(self) -> str:
        """Name the ends, from the output back."""
        return " and ".join(dict.fromkeys(e for e in (n.operation.end() for n in self.nodes) if e))


def find_tail(
    graph: CanonicalGraph, target: Target, names: Sequence[OutputNames], ends: Ends = "auto"
) -> Tail:
    """Find the ends that a target reads, and say what is done with them.

    By default they are undone where the target reads one entry, or the difference of two, through operations
    that keep entries apart, and of a profile, which is defined on logits. Otherwise they are held linear, as
    they always are below a logarithm that the target takes.

    Parameters
    ----------
    ends : {"auto", "undo", "linear"}

    Raises
    ------
    TargetError
        If ends are to be undone below a logarithm.
    """
    reads = _reads(graph, target, names)
    undone = _tail(graph, reads, _ENTRY_BY_ENTRY)
    if target.logarithms:
        if ends == "undo":
            raise TargetError(
                f"target '{target.name}': log(...) is explained by its slope, so that ends below it are held"
                " linear; leave --ends undo out"
            )
        return Tail(_tail(graph, reads, _ENTRY_BY_ENTRY + _MIXING), linear=True)
    if ends == "undo" or any(term.profile for term in target.terms):
        return Tail(undone, linear=False)
    whole = _tail(graph, reads, _ENTRY_BY_ENTRY + _MIXING)
    apart = len(whole) == len(undone) and all(
        sum(int((sign * v > 0).sum()) for v in reads.values()) <= 1 for sign in (1, -1)
    )
    return Tail(whole, linear=True) if ends == "linear" or not apart else Tail(undone, linear=False)


def notes(
    graph: CanonicalGraph, targets: Iterable[Target], names: Sequence[OutputNames], ends: Ends = "auto"
) -> tuple[str, ...]:
    """Say in one sentence for each output with an end how it is explained."""
    why = {"auto": "several of its entries are read together", "linear": "as --ends linear asks"}
    said: dict[str, None] = {}
    for target in targets:
        linear = find_tail(graph, target, names, ends).linear
        for index in dict.fromkeys(term.output for term in target.every_term):
            part = target.of_output(index)
            tail = find_tail(graph, part, names, "linear" if linear else "undo")
            if tail.nodes:
                name, end = names[index].name, tail.describe()
                how = f"with its {end} held linear, {why[ends]}" if linear else f"before its {end}"
                said[f"output '{name}' is explained {how}"] = None
        if target.logarithms:
            said[f"target '{target.name}' is explained with its log held linear, by its slope"] = None
    return tuple(said)


def _reads(graph: CanonicalGraph, target: Target, names: Sequence[OutputNames]) -> dict[str, Tensor]:
    """Give the weights of the entries of each output that a target reads, of one sample, by output node."""
    # Any numbers do but equal ones, of which a profile has weights 0.
    values = {}
    for output in (graph.outputs[index] for index in {term.output for term in target.every_term}):
        size = resolve(output.shape, 1)
        values[output.node] = torch.linspace(0, 1, math.prod(size)).reshape(size)
    return target.read().seeds(graph.outputs, names, values)


def _tail(
    graph: CanonicalGraph, reads: Mapping[str, Tensor], passed: tuple[type[Operation], ...]
) -> tuple[Node, ...]:
    """Go back from the entries that are read to the last ends there are on the way."""
    shapes = {graph.input: graph.input_shape, **{n.name: n.shape for n in graph.nodes}}
    marks = {name: (v != 0).float().to(graph.device) for name, v in reads.items()}
    reached: list[Node] = []
    for node in reversed(graph.nodes):
        mark, operation = marks.pop(node.name, None), node.operation
        if mark is None or not _is_read(mark):
            continue
        if _is_undone(operation) or _moves(operation) or isinstance(operation, passed):
            reached.append(node)
            for name, part in zip(node.inputs, _marked(node, mark, graph, shapes), strict=True):
                accumulate(marks, name, part)
    kept: set[str] = set()
    for node in reversed(reached):
        if node.operation.end() or kept.intersection(node.inputs):
            kept.add(node.name)
    return tuple(node for node in reached if node.name in kept)


def _marked(
    node: Node, mark: Tensor, graph: CanonicalGraph, shapes: Mapping[str, Sequence[Dim]]
) -> Sequence[Tensor | None]:
    """Mark what an operation reads to make the entries that are marked."""
    operation = node.operation
    if _is_undone(operation):
        return (mark,)
    inputs = tuple(_one_sample(graph, shapes[name]) for name in node.inputs)
    memo = torch.ones_like(inputs[0]) if isinstance(operation, LogSumExp) else None
    parts = operation.pull(mark, At(inputs, mark, memo))
    return tuple(None if part is None else part.abs() for part in parts)


def _is_undone(operation: Operation) -> bool:
    """Whether it is an end, or keeps what an end gives within bounds, as a clamp does."""
    return bool(operation.end()) or (isinstance(operation, Activation) and operation.function == "hardtanh")


def _moves(operation: Operation) -> bool:
    """Whether it moves entries, or chooses among them by a constant, as a mask of tasks does."""
    return operation.transport or (isinstance(operation, Where) and operation.parts[0] is not None)


def _one_sample(graph: CanonicalGraph, shape: Sequence[Dim]) -> Tensor:
    """Make a tensor of zeros of one sample."""
    return torch.zeros(resolve(shape, 1), device=graph.device)


def _is_read(mark: Tensor) -> bool:
    """Whether anything is marked; on the meta device, which has no numbers, everything is."""
    return mark.device.type == "meta" or bool(mark.any())
