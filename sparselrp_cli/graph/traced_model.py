"""The canonical graph of a loaded model, traced and checked against the model."""

import logging

import torch
from torch import Tensor

from sparselrp_cli.errors import STEP, ModelError, number_of
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture, check_against_module, differs_between_calls
from sparselrp_cli.graph.reduced import reduced_precision
from sparselrp_cli.graph.shapes import numbers
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.token_models import TokenModel

logger = logging.getLogger("sparselrp")
_LARGE = 1 << 30
"""Bytes of all tensors of a graph, for the windows of an example."""
_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 0.05, torch.float16: 0.02}


def trace_model(model: LoadedModel) -> CanonicalGraph:
    """Trace a loaded model and check that the graph computes what the model computes.

    Raises
    ------
    ModelError
        If the model can't be traced, or the graph's output differs from the model's.
    """
    logger.log(STEP, "tracing %s ...", model.name)
    example = model.example()
    graph = capture(model.module, example)
    # What only a loss or a mask needs may be without a rule.
    if wanted := tuple(i for i, output in enumerate(graph.outputs) if not output.obstacle):
        graph = graph.restricted(wanted)
    if computable := graph.supported_outputs():
        windows = checked_windows(graph, example)
        if len(windows) < len(example):
            operations = number_of(len(graph.nodes), "operation")
            logger.info("%s: %s; comparing the graph with the model", model.name, operations)
        _require_equal(model, graph.restricted(computable), windows)
    for note in model.notes:
        logger.info("%s", note)
    if isinstance(model.module, TokenModel) and (difference := model.module.change_by_padding(example)):
        logger.warning(
            "padding changes the model's outputs, by up to %.1e of the largest: windows of fewer than %d"
            " tokens are explained as it reads them padded; a forward with attention_mask is told what is"
            " padding",
            difference, model.module.count,
        )  # fmt: skip
    return graph


def checked_windows(graph: CanonicalGraph, example: Tensor) -> Tensor:
    """Give the windows of an example that a graph is checked with: of a large model one is enough."""
    per_window = sum(numbers(node.shape) for node in graph.nodes) * graph.dtype.itemsize
    return example[:1] if per_window * len(example) > _LARGE else example


def _require_equal(model: LoadedModel, graph: CanonicalGraph, example: Tensor) -> None:
    """Compare the graph with the model, by the precision that the model computes in itself."""
    differences = check_against_module(graph, model.module, example, first=True)
    exact = _TOLERANCE.get(graph.dtype, 1e-4)
    if all(difference <= exact for difference in differences.values()):
        return
    reduced = reduced_precision(model.module, example)
    for name, difference in differences.items():
        if not difference <= _TOLERANCE.get(reduced or graph.dtype, exact):
            raise ModelError(_why_it_differs(model, example, name, difference))
    logger.info(
        "%s computes in %s itself (torch.autocast or a cast in its forward) and is explained in %s; its own"
        " outputs differ by up to %.1e of the largest",
        model.name, _named(reduced or graph.dtype), _named(graph.dtype), max(differences.values()),
    )  # fmt: skip


def _named(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _why_it_differs(model: LoadedModel, example: Tensor, name: str, difference: float) -> str:
    """Find out whether the model itself is to blame."""
    for one in model.outputs_of(example):
        if not_finite := int(torch.count_nonzero(~one.isfinite())):
            return (
                f"the model's output '{name}' isn't finite for random sequences ({not_finite} of"
                f" {one.numel()} values are NaN or infinite); look for a division by 0, a log of 0 or wrong"
                " weights"
            )
    if differs_between_calls(model.module, example):
        return (
            f"the model's output '{name}' differs between two calls with the same sequences; its forward"
            " draws random numbers, or remembers earlier calls: leave that out in evaluation mode"
            " (if self.training)"
        )
    return (
        f"the traced model's output '{name}' differs from the model's by {difference:.1e}; this is a fault of"
        " sparselrp, please report it with the model's code"
    )
