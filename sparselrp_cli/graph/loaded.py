"""Models and their canonical graphs, whatever form a model has; its outputs named."""

from dataclasses import replace

from sparselrp_cli.errors import ModelError, number_of
from sparselrp_cli.graph.bins import Bins, find_bins
from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput
from sparselrp_cli.graph.packed.keeping import keep, recalled
from sparselrp_cli.graph.packed.network import PackedNetwork
from sparselrp_cli.graph.packed.reading import read_graph
from sparselrp_cli.graph.packed.traced import traced_model
from sparselrp_cli.graph.packed.writing import Packing
from sparselrp_cli.graph.shapes import size
from sparselrp_cli.graph.targets.axes import OutputAxes, obstacle
from sparselrp_cli.model import loading
from sparselrp_cli.model.graph_cache import mark_checked, place_of, was_checked
from sparselrp_cli.model.loading import LoadedModel, found
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.packed import packed_graph, read_packed
from sparselrp_cli.model.request import ModelRequest


def load_model(request: ModelRequest) -> LoadedModel:
    """Load a model of any form, packed graphs included.

    Raises
    ------
    ModelError
        With one line on what is wrong and what to do.
    """
    request = found(request)
    path = packed_graph(request.reference)
    return loading.load_model(request) if path is None else read_graph(read_packed(path, request), request)


def recall_model(request: ModelRequest, *, cached: bool = True) -> LoadedModel:
    """Load a model for a run: what was traced or checked by a run before isn't traced or checked again.

    Of a shipped model, and of a folder of a named architecture that was traced before, the module is the
    graph itself; who needs the architecture's own modules asks `load_model`.

    Parameters
    ----------
    request : ModelRequest
    cached : bool
        Whether the user's cache is read and written; what is shipped lies elsewhere.

    Raises
    ------
    ModelError
        With one line on what is wrong and what to do.
    """
    request = found(request)
    path = packed_graph(request.reference)
    if path is not None:
        packed = read_packed(path, request)
        model = read_graph(packed, request, checked=cached and was_checked(packed.graph))
        if cached:
            mark_checked(packed.graph)
        return model
    if (shipped := traced_model(request)) is not None:
        return shipped
    place = place_of(request) if cached else None
    known = None if place is None else recalled(place, request)
    return replace(loading.load_model(request), kept=place) if known is None else known


def capture_model(model: LoadedModel) -> CanonicalGraph:
    """Give the graph of a model: traced and checked against the model, unless it was packed.

    Raises
    ------
    ModelError
        If the model can't be traced, or the graph's output differs from the model's.
    """
    if isinstance(model.module, PackedNetwork):
        return model.module.current()
    # Tracing brings parts of torch that take longer to import than a packed graph does to start.
    from sparselrp_cli.graph.traced_model import trace_model

    graph = trace_model(model)
    if model.kept is not None and not graph.unsupported():
        names = output_names(model, graph)
        keep(model.kept, Packing(model.name, model.window, model.layout, names, graph))
    return graph


def output_names(model: LoadedModel, graph: CanonicalGraph) -> tuple[OutputNames, ...]:
    """Name the outputs of the captured graph.

    Where the model doesn't say which axis of an output holds its positions, the layers may: it is the only
    one that can be followed to the sequence. Otherwise it lies as that of the input does.

    Raises
    ------
    ModelError
        If the model's description names another number of outputs, or more tasks than there are.
    """
    if not model.outputs:
        likely = "NPT" if model.layout.layout == "NLC" else "NTP"
        along = 3 - model.layout.base_axis
        unnamed = [
            OutputNames(o.name, (), _axes(graph, i, along) or likely) for i, o in enumerate(graph.outputs)
        ]
        return tuple(_with_tasks(*each, model.tasks) for each in zip(graph.outputs, unnamed, strict=True))
    if len(model.outputs) != len(graph.outputs):
        raise ModelError(
            f"model '{model.name}' names {number_of(len(model.outputs), 'output')} but returns"
            f" {len(graph.outputs)}"
        )
    for output, names in zip(graph.outputs, model.outputs, strict=True):
        if not obstacle(output) and len(names.tasks) > (count := OutputAxes.of(output, names).n_tasks):
            raise ModelError(
                f"model '{model.name}' names {len(names.tasks)} tasks of output '{names.name}', which has"
                f" {count}"
            )
    return model.outputs


def _with_tasks(output: GraphOutput, names: OutputNames, tasks: tuple[str, ...]) -> OutputNames:
    """Call the tasks of an output so, if it has as many, along whichever axis."""
    if not tasks or obstacle(output):
        return names
    axes = [names.axes, *(["NTP", "NPT"] if len(output.shape) == len("NTP") else [])]
    named = (replace(names, tasks=tasks, axes=each) for each in axes)
    return next((each for each in named if OutputAxes.of(output, each).n_tasks == len(tasks)), names)


def _axes(graph: CanonicalGraph, output: int, sequence_axis: int) -> str:
    """Say which axis of an output is that of positions, by the layers; nothing where these don't tell."""
    shape = graph.outputs[output].shape
    if obstacle(graph.outputs[output]) or len(shape) != len("NTP"):
        return ""
    followed = [
        isinstance(shape[axis], int)
        and size(shape, axis) > 1
        and isinstance(find_bins(graph, output, axis, sequence_axis), Bins)
        for axis in (1, 2)
    ]
    return {(True, False): "NPT", (False, True): "NTP"}.get((followed[0], followed[1]), "")
