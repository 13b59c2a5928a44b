"""What every kind of operation has in common."""

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor


@dataclass(frozen=True, slots=True)
class BatchDim:
    """An axis whose length is a multiple of the number of samples."""

    multiple: int = 1

    def __str__(self) -> str:
        return "N" if self.multiple == 1 else f"{self.multiple}N"


Dim = int | BatchDim


def resolve(shape: Sequence[Dim], n_samples: int) -> list[int]:
    """Give the numbers of a symbolic shape for a batch of `n_samples`."""
    return [d.multiple * n_samples if isinstance(d, BatchDim) else d for d in shape]


def per_sample(values: Tensor, n_samples: int) -> Tensor:
    """Sum everything but the sample axis, in float64: a tensor of shape (N,)."""
    return values.double().reshape(n_samples, -1).sum(1)


class Operation(ABC):
    """One kind of operation of a canonical graph.

    In *multiplier form* a neuron with activation ``a`` has relevance ``r = a * c``; `pull` turns the
    multiplier at the output into multipliers at the inputs.
    """

    kind: ClassVar[str]
    """What the operation is called in tables and composites."""
    transport: ClassVar[bool] = False
    """Whether outputs are copies of single input neurons (or zeros)."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        """Compute the output, and what `pull` wants to remember."""

    @abstractmethod
    def pull(
        self, multiplier: Tensor, inputs: tuple[Tensor, ...], output: Tensor, memo: Any
    ) -> tuple[Tensor, ...]:
        """Carry the multiplier from the output to each input, shapes as the inputs'."""

    def absorbed(self, multiplier: Tensor, inputs: tuple[Tensor, ...]) -> Tensor | None:
        """Relevance that constants of this operation take, elementwise at the output; None if none."""
        return None

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        """Whether the output has no negative value, given which inputs have none."""
        return False

    def describe(self) -> str:
        """Say the parameters in a few words, for tables."""
        return ""


def map_tensors(operation: Operation, change: Callable[[Tensor], Tensor]) -> Operation:
    """Copy an operation with every tensor it holds replaced."""

    def changed(value: Any) -> Any:
        if isinstance(value, tuple):
            return tuple(changed(v) for v in value)
        return change(value) if isinstance(value, Tensor) else value

    fields = dataclasses.fields(operation)  # type: ignore[arg-type]
    values = {f.name: changed(getattr(operation, f.name)) for f in fields}
    return dataclasses.replace(operation, **values)  # type: ignore[type-var]
