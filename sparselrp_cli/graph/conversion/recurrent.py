"""LSTM, GRU and plain recurrent layers, of several layers and both directions."""

from collections.abc import Callable
from typing import Any

from torch import Tensor, fx

from sparselrp_cli.graph.conversion.call import Call, Converted, NoRule, Steps
from sparselrp_cli.graph.operations import Concatenate, Operation, Permute, Recurrent, Slice

_Step = tuple[Operation, tuple[fx.Node | int, ...]]


def recurrent(cell: str) -> Callable[[Call], Converted]:
    def convert(call: Call) -> Converted:
        if not isinstance(call["hx"] if cell != "lstm" else call["hx"][0], Tensor) or any(
            isinstance(p, fx.Node) for p in call["params"]
        ):
            raise NoRule("its weights or initial states depend on the sequence")
        return _Builder(call, cell).steps()

    return convert


class _Builder:
    """Collects the operations of all layers and directions."""

    def __init__(self, call: Call, cell: str) -> None:
        self.call = call
        self.cell = cell
        self.two_ways = bool(call["bidirectional"])
        self.layers = int(call["num_layers"])
        per_cell = 4 if call["has_biases"] else 2
        if len(call["params"]) != per_cell * self.layers * (1 + self.two_ways):
            raise NoRule("recurrent layers with projections have no rule")
        self.cells = [call["params"][i : i + per_cell] for i in range(0, len(call["params"]), per_cell)]
        self.done: list[_Step] = []

    def _add(self, operation: Operation, *inputs: fx.Node | int) -> int:
        self.done.append((operation, inputs))
        return len(self.done) - 1

    def steps(self) -> Steps:
        call = self.call
        source: fx.Node | int = call.activation("input")
        if not call["batch_first"]:
            source = self._add(Permute((1, 0, 2)), source)
        directions: list[int] = []
        for layer in range(self.layers):
            directions = [self._direction(layer, d, source) for d in range(1 + self.two_ways)]
            source = directions[0]
            if self.two_ways:
                source = self._add(Concatenate(2, (None, None)), *directions)
        if call.item == 0:
            if not call["batch_first"]:
                self._add(Permute((1, 0, 2)), source)
            return Steps(tuple(self.done))
        return self._last_states(directions)

    def _direction(self, layer: int, direction: int, source: fx.Node | int) -> int:
        number = layer * (1 + self.two_ways) + direction
        w, u, *biases = self.cells[number]
        h0, c0 = self._initial(number)
        b, b_hidden = biases or (None, None)
        return self._add(Recurrent(self.cell, w, u, b, b_hidden, h0, c0, direction == 1), source)

    def _initial(self, number: int) -> tuple[Tensor | None, Tensor | None]:
        states: Any = self.call["hx"] if self.cell == "lstm" else [self.call["hx"]]
        rows = [s[number][:1] if bool((s[number] != 0).any()) else None for s in states]
        return rows[0], rows[1] if len(rows) > 1 else None

    def _last_states(self, directions: list[int]) -> Steps:
        """Give the last hidden states (layers * directions, N, hidden) of a single layer."""
        if self.call.item != 1 or self.layers > 1:
            raise NoRule("only outputs, and the last hidden state of a single layer, have a rule")
        length = int(str(self.call.shape("input")[1 if self.call["batch_first"] else 0]))
        ends = []
        for direction, output in enumerate(directions):
            last = 0 if direction == 1 else length - 1
            ends.append(self._add(Slice(1, last, last + 1), output))
        joined = ends[0] if len(ends) == 1 else self._add(Concatenate(1, (None, None)), *ends)
        self._add(Permute((1, 0, 2)), joined)
        return Steps(tuple(self.done))
