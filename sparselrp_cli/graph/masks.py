"""Masks of torch's own transformers, while a model is traced."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import Tensor
from torch.nn.modules import transformer

_LOOKING = "_detect_is_causal_mask"
"""Of torch's own."""


@contextmanager
def masks_as_given() -> Iterator[None]:
    """Keep ``nn.TransformerEncoder`` and its like from looking at a mask's numbers: tracing has none.

    They look whether it is the causal one, to choose a faster kernel for the same result. A torch that has
    no such function is left alone.
    """
    looked = getattr(transformer, _LOOKING, None)
    if looked is None:
        yield
        return
    setattr(transformer, _LOOKING, _as_told)
    try:
        yield
    finally:
        setattr(transformer, _LOOKING, looked)


def _as_told(mask: Tensor | None, is_causal: bool | None = None, size: int | None = None) -> bool:
    return is_causal is True
