"""The canonical graph of a loaded model: checked against the model, its outputs named."""

import torch

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets.axes import OutputAxes, obstacle
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.output_names import OutputNames

_TOLERANCE = {torch.float32: 1e-4, torch.float64: 1e-9, torch.bfloat16: 0.05, torch.float16: 0.02}


def capture_model(model: LoadedModel) -> CanonicalGraph:
    """Trace a loaded model and check that the graph computes what the model computes.

    Raises
    ------
    ModelError
        If the model can't be traced, or the graph's output differs from the model's.
    """
    example = model.example()
    graph = capture(model.module, example)
    # What only a loss or a mask needs may be without a rule.
    graph = graph.restricted(tuple(i for i, output in enumerate(graph.outputs) if not output.obstacle))
    if computable := graph.supported_outputs():
        checked = graph.restricted(computable)
        for name, difference in check_against_module(checked, model.module, example).items():
            if not difference <= _TOLERANCE.get(graph.dtype, 1e-4):
                raise ModelError(
                    f"the traced model's output '{name}' differs from the model's by {difference:.1e}; this"
                    " is a fault of sparselrp, please report it with the model's code"
                )
    return graph


def output_names(model: LoadedModel, graph: CanonicalGraph) -> tuple[OutputNames, ...]:
    """Name the outputs of the captured graph.

    Raises
    ------
    ModelError
        If the model's description names another number of outputs, or more tasks than there are.
    """
    axes = "NPT" if model.layout.layout == "NLC" else "NTP"
    if not model.outputs:
        return tuple(OutputNames(o.name, (), axes) for o in graph.outputs)
    if len(model.outputs) != len(graph.outputs):
        raise ModelError(
            f"model '{model.name}' names {len(model.outputs)} outputs but returns {len(graph.outputs)}"
        )
    for output, names in zip(graph.outputs, model.outputs, strict=True):
        if not obstacle(output) and len(names.tasks) > (count := OutputAxes.of(output, names).n_tasks):
            raise ModelError(
                f"model '{model.name}' names {len(names.tasks)} tasks of output '{names.name}', which has"
                f" {count}"
            )
    return model.outputs
