"""What torch's operations give on the meta device, asked once for each shape of their inputs.

Torch finds the shape of a result in Python there, which takes longer than small tensors take on a CPU. A walk
asks for the same ones again and again: at equal layers, for each target, with each composite.
"""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils._python_dispatch import TorchDispatchMode

META = torch.device("meta")


class Shapes(TorchDispatchMode):
    """Within it, an operation on tensors described as before gives new tensors described as before.

    What gives no tensor is called every time: so does a host that asks for a number.

    Attributes
    ----------
    given : dict
        By operation and description of what it is called with, the description of what it gives.
    """

    def __init__(self) -> None:
        super().__init__()
        self.given: dict[Hashable, list[Any]] = {}
        self._making: dict[OpOverload, bool] = {}

    def __torch_dispatch__(
        self, operation: OpOverload, _: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        named = kwargs or {}
        if not self._makes_new_tensors(operation):
            return operation(*args, **named)
        key = operation, described(args), described(tuple(named.items()))
        if (before := self.given.get(key)) is not None:
            made = tuple(one and torch.empty_strided(*one[:2], dtype=one[2], device=META) for one in before)
            return made[0] if len(made) == 1 else made
        result = operation(*args, **named)
        tensors = [result] if len(operation._schema.returns) == 1 else result
        if all(tensor is None or tensor.is_meta for tensor in tensors):
            self.given[key] = [tensor if tensor is None else described(tensor) for tensor in tensors]
        return result

    def _makes_new_tensors(self, operation: OpOverload) -> bool:
        """Whether it gives tensors alone, which share no memory with others, and writes to none."""
        if operation not in self._making:
            schema = operation._schema
            alone = not any(part.alias_info for part in (*schema.arguments, *schema.returns))
            tensors = {str(part.type) for part in schema.returns} == {"Tensor"}
            self._making[operation] = alone and tensors
        return self._making[operation]


def described(value: Any) -> Any:
    """All that the shape of a result depends on: of tensors all but their numbers."""
    if isinstance(value, Tensor):
        return value.shape, value.stride(), value.dtype, value.device
    if isinstance(value, (list, tuple)):
        return type(value), tuple(map(described, value))
    return type(value), value
