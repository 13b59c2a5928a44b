"""The canonical graph: what a model computes, as a list of known operations."""

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError, UnsupportedOperationError
from sparselrp_cli.graph.operation import At, Operation, map_tensors, tensors_of
from sparselrp_cli.graph.shapes import Dim


@dataclass(frozen=True, eq=False)
class Unsupported(Operation):
    """An operation that has no propagation rule; it is shown by `inspect` and stops a run."""

    operation: str
    reason: str
    kind: ClassVar[str] = "unsupported"
    passes: ClassVar[str] = "NONE"

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        raise UnsupportedOperationError(f"{self.operation}: {self.reason}")

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        raise UnsupportedOperationError(f"{self.operation}: {self.reason}")

    def describe(self) -> str:
        return f"{self.operation}: {self.reason}"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the graph.

    Attributes
    ----------
    name : str
        Unique in the graph.
    operation : Operation
    inputs : tuple of str
        Names of the nodes it reads.
    shape : tuple of int or BatchDim
        Shape of the output.
    module : str
        Path of the module it comes from, such as ``encoder.conv1``.
    source : str
        Where it is written, such as ``net.py:17``.
    """

    name: str
    operation: Operation
    inputs: tuple[str, ...]
    shape: tuple[Dim, ...]
    module: str = ""
    source: str = ""

    @property
    def where(self) -> str:
        """Say where in the user's model this is."""
        places = [f"module '{self.module}'" if self.module else "", self.source]
        return ", ".join(p for p in places if p) or f"node '{self.name}'"


@dataclass(frozen=True, slots=True)
class GraphOutput:
    """One of the things that the model returns: its name and the node that computes it.

    Attributes
    ----------
    name : str
    node : str
        Empty where it isn't computed from the input.
    shape : tuple of int or BatchDim
    obstacle : str
        Why it can't be explained, as of None or a loss; empty where it can.
    """

    name: str
    node: str
    shape: tuple[Dim, ...]
    obstacle: str = ""


@dataclass(frozen=True, slots=True)
class CanonicalGraph:
    """What a model computes, from one input to its outputs, in topological order.

    Attributes
    ----------
    input : str
        Name of the input, which every path begins with.
    input_shape : tuple of int or BatchDim
    nodes : tuple of Node
        In an order in which every node follows its inputs.
    outputs : tuple of GraphOutput
    dtype : torch.dtype
    device : torch.device
    exact : mapping of str to (Operation, Operation)
        By node what lost digits when its constants were cast to `dtype`: the operation, and as it was before.
    """

    input: str
    input_shape: tuple[Dim, ...]
    nodes: tuple[Node, ...]
    outputs: tuple[GraphOutput, ...]
    dtype: torch.dtype
    device: torch.device
    exact: Mapping[str, tuple[Operation, Operation]] = field(default_factory=dict)

    def by_name(self) -> dict[str, Node]:
        """Index the nodes by name."""
        return {node.name: node for node in self.nodes}

    def users(self) -> dict[str, list[Node]]:
        """Give for each tensor the nodes that read it, in graph order."""
        users: dict[str, list[Node]] = {self.input: [], **{node.name: [] for node in self.nodes}}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                users[name].append(node)
        return users

    def reads(self) -> dict[str, int]:
        """Count for each tensor how often it is read, by nodes and as an output of the model."""
        counts = dict.fromkeys(self.users(), 0)
        for name in [i for node in self.nodes for i in node.inputs] + [o.node for o in self.outputs]:
            if name in counts:
                counts[name] += 1
        return counts

    def to(self, device: torch.device, dtype: torch.dtype) -> "CanonicalGraph":
        """Copy the graph with its constants moved and cast; a cast to more digits brings lost ones back."""
        nodes, exact = [], {}
        for node in self.nodes:
            known, before = self.exact.get(node.name, (node.operation, node.operation))
            before = before if known is node.operation else node.operation
            operation = map_tensors(before, lambda t: cast(t, dtype).to(device))
            nodes.append(dataclasses.replace(node, operation=operation))
            if any(_loses(tensor, dtype) for tensor in tensors_of(before)):
                exact[node.name] = operation, before
        return dataclasses.replace(self, nodes=tuple(nodes), exact=exact, device=device, dtype=dtype)

    def restricted(self, outputs: tuple[int, ...]) -> "CanonicalGraph":
        """Keep only what the given outputs need; the other outputs keep their place but not their nodes."""
        needed = {self.outputs[i].node for i in outputs}
        for node in reversed(self.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return dataclasses.replace(self, nodes=tuple(n for n in self.nodes if n.name in needed))

    def evaluate(self, x: Tensor, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
        """Compute the graph for an input of shape `input_shape`.

        Parameters
        ----------
        x : Tensor
        wanted : collection of str, optional
            Names of the tensors to give; the others are let go of after what reads them last. By default all.
        """
        values = {self.input: x}
        done_with = {} if wanted is None else last_readers(self.nodes)
        for node in self.nodes:
            values[node.name], _ = node.operation.forward(*[values[i] for i in node.inputs])
            for name in done_with.get(node.name, ()):
                if wanted is not None and name not in wanted:
                    del values[name]
        return values

    def outputs_for(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the outputs, by the node that makes them, for an input of shape `input_shape`."""
        return self.evaluate(x, {output.node for output in self.outputs})

    def supported_outputs(self) -> tuple[int, ...]:
        """Give the outputs that can be computed from the input: all on their way has a rule."""
        broken: set[str] = set()
        for node in self.nodes:
            if isinstance(node.operation, Unsupported) or broken.intersection(node.inputs):
                broken.add(node.name)
        known = self.by_name().keys() - broken
        return tuple(i for i, output in enumerate(self.outputs) if output.node in known)

    def unsupported(self) -> tuple[Node, ...]:
        """Give the nodes that have no propagation rule."""
        return tuple(n for n in self.nodes if isinstance(n.operation, Unsupported))

    def without_rule(self) -> tuple[str, ...]:
        """Say of each of these what it is, where, and why it has no rule."""
        return tuple(
            f"{n.operation.operation} at {n.where}: {n.operation.reason}"
            for n in self.nodes
            if isinstance(n.operation, Unsupported)
        )

    def require_supported(self) -> None:
        """Stop, naming every operation that has no rule.

        Raises
        ------
        UnsupportedOperationError
        """
        missing = self.without_rule()
        if not missing:
            return
        others = f" (and {len(missing) - 1} more; see sparselrp inspect)" if len(missing) > 1 else ""
        raise UnsupportedOperationError(f"no rule for {missing[0]}{others}")

    def require_path(self, output: int) -> None:
        """Stop if an output doesn't depend on the input.

        Raises
        ------
        ModelError
        """
        chosen = self.outputs[output]
        if chosen.obstacle:
            raise ModelError(f"output '{chosen.name}' can't be explained: {chosen.obstacle}; explain another")
        if chosen.node not in self.by_name():
            raise ModelError(f"output '{chosen.name}' doesn't depend on the sequence; explain another output")


def last_readers(nodes: Sequence[Node]) -> dict[str, list[str]]:
    """Give for each node the tensors that nothing behind it reads: its own, where nothing reads that."""
    last: dict[str, str] = {}
    for node in nodes:
        last |= dict.fromkeys((*node.inputs, node.name), node.name)
    found: dict[str, list[str]] = {}
    for name, reader in last.items():
        found.setdefault(reader, []).append(name)
    return found


def cast(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    """Cast a constant of floating-point numbers; finite ones, such as those of masks, stay finite."""
    if not tensor.is_floating_point() or tensor.dtype == dtype:
        return tensor
    if tensor.is_meta or torch.finfo(dtype).max >= torch.finfo(tensor.dtype).max:
        return tensor.to(dtype)
    largest = torch.finfo(dtype).max
    return torch.where(tensor.isfinite(), tensor.clamp(-largest, largest), tensor).to(dtype)


def _loses(tensor: Tensor, dtype: torch.dtype) -> bool:
    """Whether a cast costs digits."""
    if (
        not tensor.is_floating_point()
        or tensor.is_meta
        or torch.finfo(dtype).eps <= torch.finfo(tensor.dtype).eps
    ):
        return False
    return not torch.equal(tensor.to(dtype).to(tensor.dtype).nan_to_num(), tensor.nan_to_num())
