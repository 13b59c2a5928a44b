"""Step functions that are decided by one base each, such as the ids of tokens: on one-hot sequences they are
linear.

What ``f(base at p)`` is can be looked up, ``sum_b x[b, p] f(b)``, and relevance passes a look-up as any dense
layer. Which position decides each row of a tensor is found by computing it for random sequences.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.operations.concatenate import Concatenate
from sparselrp_cli.graph.operations.contraction import Contraction
from sparselrp_cli.graph.operations.dense import Dense
from sparselrp_cli.graph.operations.index_select import IndexSelect
from sparselrp_cli.graph.operations.permute import Permute
from sparselrp_cli.graph.operations.reshape import Reshape
from sparselrp_cli.graph.shapes import BatchDim, Dim

_SEQUENCES, _AT_ONCE = 64, 8


@dataclass(frozen=True, slots=True)
class LookUp:
    """A tensor each of whose rows is decided by the base at one position, or by none.

    Attributes
    ----------
    base_axis : int
        Of the input, 1 or 2; the other one is that of positions.
    axis : int
        Of the rows in the tensor.
    positions : Tensor of int, shape (rows,)
        Which position decides a row; -1 where the row is constant, as that of a class token.
    values : Tensor, shape (bases, rows, ...)
        What a row holds for each base; the axes of the tensor without samples, rows first.
    """

    base_axis: int
    axis: int
    positions: Tensor
    values: Tensor

    def operations(self, values: Tensor) -> tuple[Operation, ...]:
        """Compute other values of the same rows from the input.

        Parameters
        ----------
        values : Tensor, shape (bases, rows, ...)
        """
        varying = (self.positions >= 0).nonzero().flatten()
        positions, rows = self.positions[varying], len(self.positions)
        flat = values.reshape(*values.shape[:2], -1)
        chain: list[Operation] = [Permute((0, 2, 1))] if self.base_axis == 1 else []
        if not torch.equal(positions, torch.arange(len(positions))):
            chain.append(IndexSelect(1, positions))
        chain += _from_bases(flat[:, varying])
        if len(varying) < rows:
            fixed = (self.positions < 0).nonzero().flatten()
            chain.append(Concatenate(1, (None, flat[:1, fixed])))
            chain.append(IndexSelect(1, torch.cat([varying, fixed]).argsort()))
        if values.dim() != 3:
            chain.append(Reshape((BatchDim(), rows, flat.shape[2]), (BatchDim(), rows, *values.shape[2:])))
        if self.axis != 1:
            order = list(range(values.dim()))
            order.insert(self.axis, order.pop(1))
            chain.append(Permute(tuple(order)))
        return tuple(chain)


def _from_bases(values: Tensor) -> list[Operation]:
    """Give what leads from (N, rows, bases) to (N, rows, features).

    Where each feature is one base or none, as in a one-hot code, bases are moved. All else is a layer, the
    same for all rows or one for each.
    """
    table = values[:, 0]
    if bool((values != values[:, :1]).any()):
        return [Contraction(values, None, "nrb,brf->nrf")]
    if bool(((table == 0) | (table == 1)).all()) and bool((table.sum(0) <= 1).all()):
        none = torch.zeros(1, values.shape[1], 1, dtype=torch.get_default_dtype())
        chosen = torch.where(table.any(0), table.to(torch.uint8).argmax(0), len(table))
        return [Concatenate(2, (None, none)), IndexSelect(2, chosen)]
    return [Dense(table.t().contiguous(), None)]


def find_look_up(compute: Callable[[Tensor], Tensor], shape: Sequence[Dim], example: Tensor) -> LookUp | None:
    """Find which base decides each row of a tensor, if that is so for all rows along one of its axes.

    Parameters
    ----------
    compute : callable
        From sequences to the tensor.
    shape : shape
        Of the tensor.
    example : Tensor
        Sequences as the model takes them; None is found where they aren't one-hot.
    """
    base_axis = _base_axis(example)
    if base_axis is None or len(shape) < 2 or not isinstance(shape[0], BatchDim) or shape[0] != BatchDim():
        return None
    n_bases, length = example.shape[base_axis], example.shape[3 - base_axis]
    generator = torch.Generator().manual_seed(0)
    drawn = torch.randint(n_bases, (_SEQUENCES, length), generator=generator)
    alike = torch.arange(n_bases)[:, None].expand(n_bases, length)

    def computed(bases: Tensor) -> Tensor:
        one_hot = torch.nn.functional.one_hot(bases, n_bases).to(example.dtype)
        return compute(one_hot.transpose(1, 2) if base_axis == 1 else one_hot)

    values = computed(alike)
    found = torch.cat([computed(part) for part in torch.split(drawn, _AT_ONCE)])
    for axis in range(1, len(shape)):
        by_row = values.movedim(axis, 1)
        positions = _deciding(by_row, found.movedim(axis, 1), drawn)
        if positions is not None:
            return LookUp(base_axis, axis, positions, by_row) if bool((positions >= 0).any()) else None
    return None


def _base_axis(example: Tensor) -> int | None:
    """Find the axis of the bases of one-hot sequences, (N, 4, L) or (N, L, 4)."""
    if example.dim() != 3 or not bool(((example == 0) | (example == 1)).all()):
        return None
    return next((axis for axis in (1, 2) if bool((example.sum(axis) == 1).all())), None)


def _deciding(values: Tensor, found: Tensor, drawn: Tensor) -> Tensor | None:
    """Find the position that decides each row; None where one is decided by several.

    Parameters
    ----------
    values : Tensor, shape (bases, rows, ...)
        For sequences of one base.
    found : Tensor, shape (sequences, rows, ...)
    drawn : Tensor of int, shape (sequences, positions)
        The bases of the sequences.
    """
    values, found = (tensor.reshape(*tensor.shape[:2], -1) for tensor in (values, found))
    # Bases that a row tells apart have different numbers; a row's number says which of them decided it.
    told = _first_equal(values, values)
    seen = torch.cat([_first_equal(part, values) for part in torch.split(found, _AT_ONCE)])
    if bool((seen < 0).any()):
        return None
    positions = torch.full((values.shape[1],), -1)
    for pattern in torch.unique(told, dim=1).unbind(1):
        if not bool(pattern.any()):
            continue
        rows = (told == pattern[:, None]).all(0).nonzero().flatten().tolist()
        places = {bytes(column): p for p, column in enumerate(pattern[drawn].t().to(torch.uint8).numpy())}
        for row, column in zip(rows, seen[:, rows].t().to(torch.uint8).numpy(), strict=True):
            if bytes(column) not in places:
                return None
            positions[row] = places[bytes(column)]
    return positions


def _first_equal(rows: Tensor, values: Tensor) -> Tensor:
    """Say for each row, (sequences, rows, numbers), which base it is the first to equal; -1 for none."""
    equal = (rows[:, None] == values[None]).all(-1)
    return torch.where(equal.any(1), equal.to(torch.uint8).argmax(1), -1)
