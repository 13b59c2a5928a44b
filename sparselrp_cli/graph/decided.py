"""What decides a step of a graph that is being converted: single bases, or tokens of the sequence."""

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Protocol

from torch import Tensor, fx

from sparselrp_cli.graph.bases import LookUp, find_look_up
from sparselrp_cli.graph.call import NoRule
from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node, Unsupported
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.tokens import Tokens
from sparselrp_cli.graph.shapes import Dim
from sparselrp_cli.graph.token_rows import TokenRows, find_slots, tokens_behind
from sparselrp_cli.graph.tracing import place_of

Placed = Callable[[Operation, tuple[str, ...], tuple[Dim, ...] | None], tuple[Dim, ...]]
"""Gives the shape of an operation's result, of what it reads and maybe a shape that is known."""


class Converted(Protocol):
    """What is converted until now; see `graph.converter`."""

    nodes: list[Node]
    shapes: dict[str, tuple[Dim, ...]]
    input: str
    example: Tensor

    @property
    def refs(self) -> Mapping[fx.Node, str]:
        """Activations: exported node to canonical node or input."""

    @property
    def of_windows(self) -> Set[str]:
        """What depends on inputs beside the sequence."""


class Decided:
    """Finds what decides steps, each once."""

    def __init__(self, converted: Converted) -> None:
        self.converted = converted
        self._look_ups: dict[str, LookUp | None] = {}

    def look_up(self, node: fx.Node) -> tuple[LookUp, fx.Node] | None:
        """Find which base decides each row of a step, and give the sequences."""
        name = self.converted.refs[node]
        if name in self.converted.of_windows:
            return None  # no base decides it alone
        if name not in self._look_ups:
            self._look_ups[name] = self._found_look_up(name)
        found = self._look_ups[name]
        return None if found is None else (found, self._sequences())

    def token_rows(self, node: fx.Node) -> TokenRows | None:
        """Find which token of the sequence each of some ids is; None where they aren't made of tokens."""
        found = tokens_behind(self._steps_to(self.converted.refs[node]))
        if found is None:
            return None
        made, graph = found
        try:
            slots = find_slots(made, graph, self.converted.example)
        except ValueError as error:
            raise NoRule(str(error)) from error
        assert isinstance(made.operation, Tokens)
        return TokenRows(made.operation.scheme, slots, self._sequences())

    def looked_up(self, node: fx.Node, placed: Placed) -> str:
        """Name what computes a step from the bases by looking it up; nothing where that can't be."""
        found = self.look_up(node)
        if found is None:
            return ""
        step, source = (self.converted.refs[n] for n in (node, found[1]))
        operations: Sequence[Operation] = found[0].operations(found[0].values)
        for i, operation in enumerate(operations):
            name = f"{step}~bases" + (f":{i}" if i < len(operations) - 1 else "")
            if name not in self.converted.shapes:
                shape = placed(operation, (source,), None)
                self.converted.nodes.append(Node(name, operation, (source,), shape, *place_of(node)))
                self.converted.shapes[name] = shape
            source = name
        return source

    def _found_look_up(self, name: str) -> LookUp | None:
        steps = self._steps_to(name)
        if any(isinstance(n.operation, (Layer, Unsupported, Tokens)) for n in steps.nodes):
            return None  # layers and tokens read several bases
        shape, example = self.converted.shapes[name], self.converted.example
        return find_look_up(lambda x: steps.evaluate(x)[name], shape, example)

    def _sequences(self) -> fx.Node:
        return next(n for n, ref in self.converted.refs.items() if ref == self.converted.input)

    def _steps_to(self, name: str) -> CanonicalGraph:
        """Give the graph from the sequences to a tensor."""
        made, example = self.converted, self.converted.example
        output = GraphOutput(name, name, made.shapes[name])
        nodes, shape = tuple(made.nodes), made.shapes[made.input]
        return CanonicalGraph(made.input, shape, nodes, (output,), example.dtype, example.device).restricted(
            (0,)
        )
