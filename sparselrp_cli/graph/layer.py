"""Layers: the affine operations with trained weights, which get a propagation rule."""

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from torch import Tensor

from sparselrp_cli.graph.operation import At, Lies, Operation, Pulled
from sparselrp_cli.graph.shapes import Dim, numbers


@dataclass(frozen=True, eq=False)
class Layer(Operation):
    """An affine map ``z = W a + b``.

    A rule sees a layer through `apply` (with weights of its own making) and `transpose`.
    """

    weight: Tensor
    bias: Tensor | None
    rectified: bool = field(default=False, kw_only=True)
    """Whether a ReLU follows that nothing else reads, so that the output is the rectified one."""
    channel_axis: ClassVar[int | None] = None
    """The axis of the output that the bias lies along."""

    def work(self, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]) -> int:
        return numbers(output) * (self.weight.numel() // self.weight.shape[0])

    def positions(
        self, axis: int, inputs: Sequence[Sequence[Dim]], output: Sequence[Dim]
    ) -> tuple[Lies | None, ...]:
        # An axis of the same length may hold other features.
        return self._positions_of_crops(axis, inputs, output) or (None,)

    @abstractmethod
    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """Compute ``W x + b`` with the given weight and bias."""

    def magnitude(
        self, sizes: Tensor, weight: Tensor, bias: Tensor | None, z: Tensor, share: float
    ) -> Tensor:
        """Compute ``W x + b`` of what is nowhere negative; it is no less than `share` of ``|z|``."""
        return self.apply(sizes, weight, bias)

    @abstractmethod
    def transpose(self, values: Tensor, weight: Tensor, like: Tensor) -> Tensor:
        """Compute ``W^T values``, shaped as the layer input `like`."""

    @abstractmethod
    def spread(self, bias: Tensor, z: Tensor) -> Tensor:
        """Shape a bias vector so that it broadcasts against the output `z`."""

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Any]:
        z = self.apply(inputs[0], self.weight, self.bias)
        return (z.relu_() if self.rectified else z), None

    def pull(self, c: Tensor, at: At) -> Pulled:
        """Carry the plain gradient; a composite's rule takes the place of this."""
        return (self.transpose(c, self.weight, at.inputs[0]),)
