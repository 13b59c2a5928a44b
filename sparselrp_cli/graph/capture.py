"""From a PyTorch module to a canonical graph, through torch.export.

The module itself is not changed: the graph holds its own constants.
"""

import dataclasses
import logging
import math
import operator
import re
import traceback
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.export import Dim as ExportDim
from torch.export import ExportedProgram

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.apart import apart
from sparselrp_cli.graph.beside import default_rows
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.cells import CellsWrittenOut
from sparselrp_cli.graph.converter import Conversion
from sparselrp_cli.graph.faults import require_explainable
from sparselrp_cli.graph.functional import is_functional
from sparselrp_cli.graph.input_advice import input_advice
from sparselrp_cli.graph.masks import masks_as_given
from sparselrp_cli.graph.operation import map_tensors
from sparselrp_cli.graph.overloads import CONVERTERS
from sparselrp_cli.graph.parts_of_input import parts_advice
from sparselrp_cli.graph.passes.cancelling import cancel_terms
from sparselrp_cli.graph.passes.folding import fold_batch_norm
from sparselrp_cli.graph.passes.log_sums import read_log_sums
from sparselrp_cli.graph.tracing import Traced
from sparselrp_cli.model.memory import give_back
from sparselrp_cli.model.prints import printing_to_stderr, silently, without_noise
from sparselrp_cli.model.results import leaves_of, returning_dictionaries

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
    graph = _in_double(module, example)
    if graph is None:
        graph = _as_it_is(module, example)
    graph = _laid_out(graph).to(example.device, example.dtype)
    give_back(module)
    return graph


def _laid_out(graph: CanonicalGraph) -> CanonicalGraph:
    """Lay every constant out as a file of it would: sums of products go by that, to the last digit."""

    def alone(tensor: Tensor) -> Tensor:
        in_place = tensor.is_contiguous() and not tensor.storage_offset()
        return tensor if in_place else tensor.clone(memory_format=torch.contiguous_format)

    nodes = (dataclasses.replace(node, operation=map_tensors(node.operation, alone)) for node in graph.nodes)
    return dataclasses.replace(graph, nodes=tuple(nodes))


def _in_double(module: nn.Module, example: Tensor) -> CanonicalGraph | None:
    """Trace a copy of the module in float64, so that constants made on the way keep their digits.

    None where that can't be: a forward may insist on float32, or on what it was called with.
    """
    if example.dtype == torch.float64:
        return None
    try:
        with apart(module, torch.float64) as copied:
            # What would be advised is sought by calling the model: where that is shown alone, see below.
            return _graph(copied, example.double(), example.dtype, advise=False)
    except Exception:
        logger.debug("the model can't be traced in float64", exc_info=True)
        return None


def _as_it_is(module: nn.Module, example: Tensor) -> CanonicalGraph:
    """Trace a copy of the module in its own type; it is called only if that fails, for a call says why."""
    try:
        with apart(module) as copied:
            return _graph(copied, example.clone(), example.dtype)
    except Exception:
        require_input(module, example)
        raise


def _graph(module: nn.Module, example: Tensor, dtype: torch.dtype, *, advise: bool = True) -> CanonicalGraph:
    """Trace and convert; `dtype` is that of the numbers that constants must not exceed."""
    program = _export(module, example, advise=advise)
    require_explainable(program.program, lambda: differs_between_calls(module, example))
    rows = default_rows(module, 1)
    graph = Conversion(program, example, dtype, rows).graph()
    if graph.unsupported() and (simpler := _simpler(program, graph)):
        graph = Conversion(simpler, example, dtype, rows).graph()
    return read_log_sums(fold_batch_norm(cancel_terms(graph)))


def require_input(module: nn.Module, example: Tensor) -> None:
    """Call a module, and say what is wrong where it doesn't take such an input.

    Raises
    ------
    ModelError
        With what to do about it.
    """
    try:
        with torch.no_grad(), apart(module) as copied:
            _call_first(copied, example.clone())
    except Exception as error:
        what = f"{_first_line(error)}{_where(error)}"
        message = f"the model can't take an input of shape {tuple(example.shape)}: {what}"
        with apart(module) as copied:
            advice, lines = input_advice(copied, example, error)
        raise ModelError(f"{message}; {advice}", lines) from error


def _export(module: nn.Module, example: Tensor, *, advise: bool) -> Traced:
    """Trace with a free number of samples, or else for two and for three samples."""
    fused = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with torch.no_grad():
            return _traced_any_way(module, example, advise=advise)
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)


def _traced_any_way(module: nn.Module, example: Tensor, *, advise: bool) -> Traced:
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
        parts = parts_advice(module, example[:1]) if advise else None
        advice, lines = parts or (_way_out(str(error)), ())
        raise ModelError(
            f"torch.export can't trace the model: {_first_line(error)}{_where(error)}; {advice}", lines
        ) from error


_WAYS_OUT = (
    (
        "data-dependent|GuardOnDataDependent|Could not guard|Could not extract",
        "its forward decides by the numbers it computes (an if, a loop or .item() on a tensor): write it with"
        " torch.where, or wrap the part that computes the output in a module without such branches",
    ),
    (
        "must be tuple of ints, ?but got FakeTensor",
        "it makes a shape of numbers that it computes, as pack_padded_sequence does: windows are of one"
        " length, so give the recurrent layer the padded tensor itself",
    ),
    ("numpy", "its forward uses numpy: write it with torch functions"),
    ("ScriptModule", "give the module as it was before torch.jit.script or torch.jit.trace"),
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


def _call_first(module: Callable[[Tensor], Any], x: Tensor) -> Any:
    """Call the user's model: what it prints goes to standard error, and warnings are its own affair.

    Parts that torch.compile has wrapped aren't compiled, which takes a minute, for a call or two.
    """
    with printing_to_stderr(), without_noise(), torch.compiler.set_stance("force_eager"):
        return module(x)


def _call_again(module: Callable[[Tensor], Any], x: Tensor) -> Any:
    """Call it without what it prints each time."""
    with silently(), torch.compiler.set_stance("force_eager"):
        return module(x)


def differs_between_calls(module: Callable[[Tensor], Any], x: Tensor) -> bool:
    """Whether a model gives something else when it is called once more."""
    with torch.no_grad():
        first, second = (leaves_of(_call_again(module, x)) for _ in range(2))
    pairs = zip(first, second, strict=True)
    return not all(torch.equal(a, b) for a, b in pairs if isinstance(a, Tensor) and bool((a == a).all()))


def _traced(module: nn.Module, example: Tensor, dynamic_shapes: Any) -> ExportedProgram:
    arguments: tuple[Any, ...] = (example,)
    if rows := tuple(row.contiguous() for row in default_rows(module, len(example)).values()):
        arguments = (example, rows)
        dynamic_shapes = dynamic_shapes and (*dynamic_shapes, tuple(dynamic_shapes[0] for _ in rows))
    with silently(), returning_dictionaries(module), CellsWrittenOut(), masks_as_given():
        program = torch.export.export(module, arguments, dynamic_shapes=dynamic_shapes, strict=False)
        return program if is_functional(program) else program.run_decompositions({})


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0].partition(" (unhinted")[0] if lines else type(error).__name__


def _where(error: Exception) -> str:
    """Give the line of the model's own code at which an error came up."""
    package = str(Path(__file__).parents[1])
    frames = traceback.extract_tb(error.__traceback__)
    own = [f for f in frames if "/torch/" not in f.filename and not f.filename.startswith((package, "<"))]
    return f" at {Path(own[-1].filename).name}:{own[-1].lineno}" if own else ""


def _simpler(program: Traced, graph: CanonicalGraph) -> Traced | None:
    """Break up the functions that no converter knows; None where torch can't."""
    try:
        return program.decomposed(_unknown_targets(program, graph))
    except Exception:
        logger.debug("torch can't break the model's functions up", exc_info=True)
        return None


def _unknown_targets(program: Traced, graph: CanonicalGraph) -> list[Any]:
    """Give the ATen functions of a program that no converter knows."""
    calls = [n.target for n in program.program.graph.nodes if n.op == "call_function"]
    return [t for t in dict.fromkeys(calls) if t not in CONVERTERS and t is not operator.getitem]


def check_against_module(
    graph: CanonicalGraph, module: nn.Module, x: Tensor, *, first: bool = False
) -> dict[str, float]:
    """Compare the graph's outputs with the module's.

    Parameters
    ----------
    first : bool
        Whether the module is called for the first time: what it prints is shown, and where it doesn't take
        `x` it is said why.

    Returns
    -------
    dict of str to float
        For each output that the graph computes, the largest difference relative to the largest value.
    """
    expected = leaves_of(_outputs(module, x, first=first))
    with torch.no_grad():
        values = graph.outputs_for(x)
    return {
        output.name: _difference(values[output.node], tensor)
        for output, tensor in zip(graph.outputs, expected, strict=True)
        if output.node in values
    }


def _outputs(module: nn.Module, x: Tensor, *, first: bool) -> Any:
    """Call a copy of a module."""
    with torch.no_grad(), apart(module) if isinstance(module, nn.Module) else nullcontext(module) as called:
        try:
            return (_call_first if first else _call_again)(called, x.clone())
        except Exception:
            if first:
                require_input(module, x)
            raise


def _difference(ours: Tensor, theirs: Tensor) -> float:
    """Give the largest difference relative to the largest number; equal infinities and NaN don't differ.

    Where no number is finite there is nothing to compare: infinity.
    """
    ours, theirs = ours.double(), theirs.double()
    if not theirs.isfinite().any():
        return math.inf
    same = (ours == theirs) | (ours.isnan() & theirs.isnan())
    differences = (ours - theirs).abs().masked_fill(same, 0)
    scale = theirs.abs().masked_fill(~theirs.isfinite(), 0).max()
    return float(differences.max()) / max(float(scale), 1e-30)
