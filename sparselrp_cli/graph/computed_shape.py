"""The shape of what an operation makes, found without computing it."""

import torch

from sparselrp_cli.graph.operation import Operation, map_tensors
from sparselrp_cli.graph.shapes import BatchDim, Dim, resolve


def computed_shape(
    operation: Operation, sources: list[tuple[Dim, ...]], dtype: torch.dtype
) -> tuple[Dim, ...]:
    """Find the shape of a result by trying two and three samples without data."""
    trial = map_tensors(operation, lambda t: t.to("meta"))
    two, three = (
        trial.forward(*[torch.empty(resolve(s, n), device="meta", dtype=dtype) for s in sources])[0].shape
        for n in (2, 3)
    )
    return tuple(a if a == b else BatchDim(b - a) for a, b in zip(two, three, strict=True))
