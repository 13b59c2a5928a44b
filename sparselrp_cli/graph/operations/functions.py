"""Whole families of ATen functions: those shared by their gradient, and those that only decide."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from sparselrp_cli.graph.operations.base import At, Operation


@dataclass(frozen=True, slots=True)
class Place:
    """Where among the arguments of a function the activation number `index` goes."""

    index: int


@dataclass(frozen=True, eq=False)
class _Call(Operation):
    """A call of an ATen function.

    Attributes
    ----------
    function : callable
    arguments : tuple of (name, value)
        With a `Place` for each activation, also inside of tuples.
    name : str
        What it does, in words.
    item : int
        Which of several results is meant.
    """

    function: Callable[..., Any]
    arguments: tuple[tuple[str, Any], ...]
    name: str
    item: int = 0

    def _call(self, inputs: tuple[Tensor, ...]) -> Tensor:
        def placed(value: Any) -> Any:
            if isinstance(value, tuple):
                return [placed(v) for v in value]
            return inputs[value.index] if isinstance(value, Place) else value

        result = self.function(**{name: placed(value) for name, value in self.arguments})
        chosen: Tensor = result[self.item] if isinstance(result, (tuple, list)) else result
        return chosen

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        return self._call(inputs), None

    def describe(self) -> str:
        return self.name


@dataclass(frozen=True, eq=False)
class Homogeneous(_Call):
    """A function with ``f(t x) = t^k f(x)``, shared by its gradient: ``c_in = (df/dx)^T c_out / k``.

    Euler's theorem, ``sum_j x_j df/dx_j = k f``, makes this conserve. Degree 1 are linear maps (padding by
    reflection, upsampling, running sums, shifts) and norms and sorted values; for a product of k factors it
    is the uniform rule of AttnLRP (Achtibat et al. 2024, prop. 3.3), 1/k to each.

    Attributes
    ----------
    degree : float or Tensor
        A tensor broadcasts against the output.
    sign : bool
        Whether non-negative inputs give non-negative outputs.
    """

    degree: float | Tensor = 1.0
    sign: bool = False
    kind: ClassVar[str] = "homogeneous"

    @property
    def passes(self) -> str:  # type: ignore[override]
        linear = not isinstance(self.degree, Tensor) and self.degree == 1
        return "in proportion to the terms" if linear else "the same share to each factor (uniform)"

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        share = c / self.degree
        with torch.inference_mode(False), torch.enable_grad():
            leaves = tuple(x.clone().requires_grad_() for x in at.inputs)
            return torch.autograd.grad(self._call(leaves), leaves, share.clone(), allow_unused=True)

    def keeps_non_negative(self, inputs: Sequence[bool]) -> bool:
        return self.sign and all(inputs)


@dataclass(frozen=True, eq=False)
class Decision(_Call):
    """A comparison or another step function: it decides, and carries no relevance.

    Where one is a factor among gates, what it is given it absorbs.
    """

    kind: ClassVar[str] = "decision"
    passes: ClassVar[str] = "decides; carries none"

    def pull(self, c: Tensor, at: At) -> tuple[Tensor | None, ...]:
        return tuple(None for _ in at.inputs)

    def absorbed(self, c: Tensor, at: At) -> Tensor | None:
        return c * at.output
