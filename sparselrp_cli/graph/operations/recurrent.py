"""Recurrent cells: LSTM, GRU and the plain cell, step by step.

Gates are scales that get no relevance (signal-take-all, Arras et al. 2017, WASSA); sums share in proportion;
the affine maps inside follow the epsilon rule. Layers, directions and first positions become operations of
their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.call import Call, Converted, Converter, Converters, NoRule, Step, Steps
from sparselrp_cli.graph.operation import At, Operation, Pulled
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.slice import Slice
from sparselrp_cli.graph.shapes import Dim, numbers, size

aten = torch.ops.aten


EPSILON = 1e-6
Cell = Literal["lstm", "gru", "tanh", "relu"]


@dataclass(frozen=True, eq=False)
class Recurrent(Operation):
    """One direction of one recurrent layer over a sequence (N, L, features), giving (N, L, hidden).

    Attributes
    ----------
    cell : {"lstm", "gru", "tanh", "relu"}
    w, u : Tensor, shapes (gates * hidden, features) and (gates * hidden, hidden)
    b, b_hidden : Tensor or None, shape (gates * hidden,)
        Biases beside the input and beside the hidden state.
    h0, c0 : Tensor or None, shape (1, hidden)
        Initial states, which absorb; None is zero.
    reverse : bool
        From the last position to the first.
    """

    cell: Cell
    w: Tensor
    u: Tensor
    b: Tensor | None
    b_hidden: Tensor | None
    h0: Tensor | None = None
    c0: Tensor | None = None
    reverse: bool = False
    kind: ClassVar[str] = "recurrent"
    passes: ClassVar[str] = f"signal takes all; epsilon (epsilon={EPSILON:g}) inside"

    @property
    def _hidden(self) -> int:
        return self.u.shape[1]

    def _steps(self, length: int) -> list[int]:
        return list(range(length))[:: -1 if self.reverse else 1]

    def _initial(self, state: Tensor | None, x: Tensor) -> Tensor:
        zeros = x.new_zeros(x.shape[0], self._hidden)
        return zeros if state is None else zeros + state

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        (x,) = inputs
        h, c = self._initial(self.h0, x), self._initial(self.c0, x)
        from_input = torch.nn.functional.linear(x, self.w, self.b)
        outputs: dict[int, Tensor] = {}
        memo = []
        for t in self._steps(x.shape[1]):
            from_hidden = torch.nn.functional.linear(h, self.u, self.b_hidden)
            new_h, new_c, gates = self._step(from_input[:, t], from_hidden, h, c)
            memo.append((h, c, gates, new_c))
            h, c = new_h, new_c
            outputs[t] = h
        return torch.stack([outputs[t] for t in range(x.shape[1])], 1), memo

    def _step(
        self, from_input: Tensor, from_hidden: Tensor, h: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
        if self.cell == "lstm":
            i, f, z, o = (from_input + from_hidden).chunk(4, 1)
            i, f, o = i.sigmoid(), f.sigmoid(), o.sigmoid()
            new_c = f * c + i * z.tanh()
            return o * new_c.tanh(), new_c, (i, f, z, o)
        if self.cell == "gru":
            (r, keep, n), (rh, kh, nh) = from_input.chunk(3, 1), from_hidden.chunk(3, 1)
            r, keep = (r + rh).sigmoid(), (keep + kh).sigmoid()
            z = n + r * nh
            return (1 - keep) * z.tanh() + keep * h, c, (r, keep, z)
        z = from_input + from_hidden
        return (z.tanh() if self.cell == "tanh" else z.relu()), c, (z,)

    def pull(self, c: Tensor, at: At) -> Pulled:
        return (self._walk(c, at.inputs[0], at.memo)[0],)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return self._walk(c, at.inputs[0], at.memo)[1]

    def _walk(self, multiplier: Tensor, x: Tensor, memo: Any) -> tuple[Tensor, Tensor]:
        """Carry the multiplier back through time; also give what was absorbed, shape (N, L, hidden)."""
        on_x = torch.zeros_like(x)
        absorbed = torch.zeros_like(multiplier)
        on_h = x.new_zeros(x.shape[0], self._hidden)
        on_c = torch.zeros_like(on_h)
        for t, remembered in reversed(list(zip(self._steps(x.shape[1]), memo, strict=True))):
            on_h = on_h + multiplier[:, t]
            on_x[:, t], on_h, on_c, absorbed[:, t] = self._step_back(on_h, on_c, remembered)
        # What reaches the initial states is theirs.
        first = self._steps(x.shape[1])[0]
        h, c = memo[0][:2]
        absorbed[:, first] += on_h * h + on_c * c
        return on_x, absorbed

    def _step_back(
        self, on_h: Tensor, on_c: Tensor, remembered: tuple[Any, ...]
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        _, _, gates, new_c = remembered
        if self.cell == "lstm":
            i, f, z, o = gates
            on_c = on_c + on_h * o * _ratio(new_c.tanh(), new_c)
            on_z, before_c, before_h = on_c * i * _ratio(z.tanh(), z), on_c * f, torch.zeros_like(on_h)
            scale, rows = torch.ones_like(z), slice(2 * self._hidden, 3 * self._hidden)
        elif self.cell == "gru":
            scale, keep, z = gates
            on_z, before_c, before_h = on_h * (1 - keep) * _ratio(z.tanh(), z), on_c, on_h * keep
            rows = slice(2 * self._hidden, 3 * self._hidden)
        else:
            (z,) = gates
            on_z = on_h * (_ratio(z.tanh(), z) if self.cell == "tanh" else (z > 0))
            before_c, before_h, scale, rows = on_c, torch.zeros_like(on_h), torch.ones_like(z), slice(None)
        stabilised = z + torch.copysign(torch.full_like(z, EPSILON), z)
        shares = on_z * z / stabilised
        taken = shares * (stabilised - z)
        on_x = shares @ self.w[rows]
        before_h = before_h + (shares * scale) @ self.u[rows]
        if self.b is not None:
            taken = taken + shares * self.b[rows]
        if self.b_hidden is not None:
            taken = taken + shares * scale * self.b_hidden[rows]
        return on_x, before_h, before_c, taken

    def describe(self) -> str:
        direction = ", from the end" if self.reverse else ""
        return f"{self.cell}, {self.w.shape[1]} -> {self._hidden}{direction}"

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output) * (self.w.shape[1] + self._hidden) * (self.w.shape[0] // self._hidden)

    def turns(self, inputs: Sequence[Sequence[Dim]]) -> int:
        return size(inputs[0], 1)


def _ratio(y: Tensor, x: Tensor) -> Tensor:
    """Divide tanh(x) by x, 1 at 0."""
    small = x.abs() < 1e-12
    return torch.where(small, 1.0, y / torch.where(small, 1.0, x))


def recurrent(cell: Cell) -> Converter:
    def convert(call: Call) -> Converted:
        if not isinstance(call["hx"] if cell != "lstm" else call["hx"][0], Tensor) or any(
            isinstance(p, fx.Node) for p in call["params"]
        ):
            raise NoRule("its weights or initial states depend on the sequence")
        return _Builder(call, cell).steps()

    return convert


class _Builder:
    """Collects the operations of all layers and directions."""

    def __init__(self, call: Call, cell: Cell) -> None:
        self.call = call
        self.cell = cell
        self.two_ways = bool(call["bidirectional"])
        self.layers = int(call["num_layers"])
        per_cell = 4 if call["has_biases"] else 2
        if len(call["params"]) != per_cell * self.layers * (1 + self.two_ways):
            raise NoRule("recurrent layers with projections have no rule")
        self.cells = [call["params"][i : i + per_cell] for i in range(0, len(call["params"]), per_cell)]
        self.done: list[Step] = []

    def _add(self, operation: Operation, *inputs: fx.Node | int) -> int:
        self.done.append((operation, inputs))
        return len(self.done) - 1

    def steps(self) -> Steps:
        call = self.call
        source: fx.Node | int = call.activation("input")
        if not call["batch_first"]:
            source = self._add(Permute((1, 0, 2)), source)
        every: list[int] = []
        for layer in range(self.layers):
            directions = [self._direction(layer, d, source) for d in range(1 + self.two_ways)]
            every += directions
            source = directions[0]
            if self.two_ways:
                source = self._add(Concatenate(2, (None, None)), *directions)
        if call.item == 0:
            if not call["batch_first"]:
                self._add(Permute((1, 0, 2)), source)
            return Steps(tuple(self.done))
        return self._last_states(every)

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

    def _last_states(self, outputs: list[int]) -> Steps:
        """Give the last hidden states (layers * directions, N, hidden), of outputs in that order."""
        if self.call.item != 1:
            raise NoRule("its last cell state has no rule; its outputs and last hidden states have one")
        length = size(self.call.shape("input"), 1 if self.call["batch_first"] else 0)
        ends = []
        for number, output in enumerate(outputs):
            last = 0 if self.two_ways and number % 2 else length - 1
            ends.append(self._add(Slice(1, last, last + 1), output))
        joined = ends[0] if len(ends) == 1 else self._add(Concatenate(1, (None,) * len(ends)), *ends)
        self._add(Permute((1, 0, 2)), joined)
        return Steps(tuple(self.done))


CONVERTERS: Converters = MappingProxyType(
    {
        aten.lstm.input: recurrent("lstm"),
        aten.gru.input: recurrent("gru"),
        aten.rnn_tanh.input: recurrent("tanh"),
        aten.rnn_relu.input: recurrent("relu"),
    }
)
