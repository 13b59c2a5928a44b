"""From a PyTorch module to a canonical graph, through torch.export.

The module itself is not changed: the graph holds its own constants.
"""

import logging
import operator
import re
import warnings
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim as ExportDim
from torch.export import ExportedProgram

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.converter import Conversion
from sparselrp_cli.graph.overloads import CONVERTERS
from sparselrp_cli.graph.passes.folding import fold_batch_norm
from sparselrp_cli.graph.tracing import Traced

logger = logging.getLogger("sparselrp")


def capture(module: nn.Module, example: Tensor) -> CanonicalGraph:
    """Trace a module into a canonical graph with batch normalisation folded.

    Parameters
    ----------
    module : nn.Module
        Takes one tensor. It is traced in evaluation mode and given back in the mode it came in.
    example : Tensor, shape (N, ...)
        An input of the shape that will be explained.

    Returns
    -------
    CanonicalGraph
        Operations without a rule are in it as `Unsupported` nodes.

    Raises
    ------
    ModelError
        If `torch.export` can't trace the module, or the module doesn't take such an input.
    """
    example = torch.cat([example, example])[:2]
    modes = {m: m.training for m in module.modules()}
    try:
        for submodule in modes:
            submodule.training = False
        program = _export(module, example)
    finally:
        for submodule, mode in modes.items():
            submodule.training = mode
    graph = Conversion(program, example).graph()
    if graph.unsupported() and (simpler := program.decomposed(_unknown_targets(program, graph))):
        graph = Conversion(simpler, example).graph()
    return fold_batch_norm(graph)


def _export(module: nn.Module, example: Tensor) -> Traced:
    """Trace with a free number of samples, or else for two and for three samples."""
    try:
        with torch.no_grad():
            _call_quietly(module, example)
    except Exception as error:
        message = f"the model can't take an input of shape {tuple(example.shape)}: {_first_line(error)}"
        if "missing" in str(error) and "argument" in str(error):
            message += "; hold its other inputs constant with --input NAME=SHAPE:VALUE"
        raise ModelError(message) from error
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return _traced_any_way(module, example)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _traced_any_way(module: nn.Module, example: Tensor) -> Traced:
    try:
        return Traced(_traced(module, example, ({0: ExportDim("N")},)))
    except Exception:
        logger.debug("torch.export refuses a free number of samples; tracing for 2 and 3", exc_info=True)
    try:
        larger = torch.cat([example, example[:1]])
        return Traced(_traced(module, example, None), _traced(module, larger, None))
    except ModelError:
        raise
    except Exception as error:
        raise ModelError(
            f"torch.export can't trace the model: {_first_line(error)}; {_way_out(str(error))}"
        ) from error


_WAYS_OUT = (
    (
        "data-dependent|GuardOnDataDependent|Could not guard|Could not extract",
        "its forward decides by the numbers it computes (an if, a loop or .item() on a tensor): write it with"
        " torch.where, or wrap the part that computes the output in a module without such branches",
    ),
    ("numpy", "its forward uses numpy: write it with torch functions"),
    (
        "in output, which is not a known type",
        "let its forward return a tensor, a tuple, a named tuple or a dict, or register the class with"
        " torch.export.register_dataclass",
    ),
    (
        "Expected .* but got|mutat|in-place",
        "its forward changes its own state: keep counters and caches out of evaluation mode",
    ),
)


def _way_out(message: str) -> str:
    for pattern, advice in _WAYS_OUT:
        if re.search(pattern, message, re.IGNORECASE):
            return advice
    return (
        "wrap the part that computes the output in a module whose forward takes one tensor of this window"
        " length and has no branches that depend on data; `-v` shows what torch.export says"
    )


def _call_quietly(module: Callable[[Tensor], Any], x: Tensor) -> Any:
    """Call the user's model without the warnings that are its own affair."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return module(x)


def _traced(module: nn.Module, example: Tensor, dynamic_shapes: Any) -> ExportedProgram:
    loggers = [logging.getLogger(name) for name in ("torch.export", "torch._dynamo", "torch.fx")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            program = torch.export.export(module, (example,), dynamic_shapes=dynamic_shapes, strict=False)
            functional: ExportedProgram = program.run_decompositions({})
            return functional
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


def _unknown_targets(program: Traced, graph: CanonicalGraph) -> list[Any]:
    """Give the ATen functions of a program that no converter knows."""
    calls = [n.target for n in program.program.graph.nodes if n.op == "call_function"]
    return [t for t in dict.fromkeys(calls) if t not in CONVERTERS and t is not operator.getitem]


def check_against_module(
    graph: CanonicalGraph, module: Callable[[Tensor], Any], x: Tensor
) -> dict[str, float]:
    """Compare the graph's outputs with the module's.

    Returns
    -------
    dict of str to float
        For each output that the graph computes, the largest difference relative to the largest value.
    """
    with torch.no_grad():
        # A None is a leaf for torch, as it is in the traced program.
        expected, _ = torch.utils._pytree.tree_flatten(_call_quietly(module, x))
        values = graph.evaluate(x)
    differences = {}
    for output, tensor in zip(graph.outputs, expected, strict=True):
        if output.node in values:
            scale = max(float(tensor.double().abs().max()), 1e-30)
            found = values[output.node].double()
            differences[output.name] = float((found - tensor.double()).abs().max()) / scale
    return differences
