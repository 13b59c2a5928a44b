"""Calling and tracing a user's module without a trace of it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from sparselrp_cli.face.inputs import with_more
from sparselrp_cli.graph.apart import apart
from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.graph.packed.network import PackedNetwork
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.randomness import FIRST_SEED, seeded
from sparselrp_cli.relevance.batching import full_precision


@contextmanager
def undisturbed(device: torch.device) -> Iterator[None]:
    """Compute ordinary tensors in full precision, whatever the caller's context, and leave that as it was."""
    kind = device.type if torch.amp.is_autocast_available(device.type) else "cpu"
    with (
        torch.inference_mode(False),
        torch.no_grad(),
        torch.autocast(kind, enabled=False),
        full_precision(device),
        seeded(FIRST_SEED),
    ):
        yield


@contextmanager
def apart_model(
    model: LoadedModel, form: str | None = None, rows: Mapping[str, Tensor] = NO_ROWS
) -> Iterator[LoadedModel]:
    """Give a model whose module is a copy in evaluation mode, for one trace; see `graph.apart`.

    Parameters
    ----------
    model : LoadedModel
    form : str, optional
        The form of `FORMS` in which its module takes sequences.
    rows : mapping of str to Tensor (N, ...)
        Inputs beside the one that is explained.
    """
    if isinstance(model.module, PackedNetwork):
        yield model
        return
    with apart(model.module) as module:
        yield replace(model, module=with_more(module, rows, model.base_axis or 1, form))
