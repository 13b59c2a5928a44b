"""Reads a packed graph, as strictly as any file of a stranger."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.aten_call import Arguments
from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.packed.checking import require_computable
from sparselrp_cli.graph.packed.kinds import Kind, kinds
from sparselrp_cli.graph.packed.network import PackedNetwork
from sparselrp_cli.graph.packed.values import (
    PackedError,
    UnpackableError,
    dtype_name,
    dtype_of,
    fits,
    from_json,
    places_in,
    shape_from_json,
    shown,
)
from sparselrp_cli.graph.packed.writing import FORMAT, LONGEST_TEXT, VERSION
from sparselrp_cli.graph.shapes import BatchDim, Dim
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.output_names import AXES, OutputNames
from sparselrp_cli.model.packed import DIGEST, PackedFolder
from sparselrp_cli.model.request import LAYOUTS, LONGEST_WINDOW, ModelRequest
from sparselrp_cli.model.sizes import MOST_TENSORS

Types = Mapping[str, type]
_HEAD: Types = {
    "format": str, "version": int, "tool": str, "name": str, "window": int, "alphabet": str, "layout": str,
    "dtype": str, DIGEST: str, "input": dict, "nodes": list, "outputs": list,
}  # fmt: skip
_INPUT: Types = {"name": str, "shape": list}
_NODE: Types = {
    "name": str, "kind": str, "inputs": list, "shape": list, "parameters": dict, "module": str, "source": str,
}  # fmt: skip
_OUTPUT: Types = {
    "name": str, "node": str, "shape": list, "obstacle": str, "called": str, "tasks": list, "axes": str,
}  # fmt: skip


def read_graph(packed: PackedFolder, request: ModelRequest, *, checked: bool = False) -> LoadedModel:
    """Make a model of a packed folder.

    Parameters
    ----------
    packed : PackedFolder
    request : ModelRequest
        What was asked for beside it.
    checked : bool
        Whether this very folder was found to be computable before.

    Raises
    ------
    ModelError
        With one line on what is wrong where in `graph.json`.
    """
    try:
        model = _Reader(packed).model(request)
        network = model.module
        assert isinstance(network, PackedNetwork)
        if not checked:
            require_computable(network.graph, model.example(1))
    except PackedError as error:
        raise ModelError(f"{packed.graph}: {error}") from error
    except RecursionError as error:
        raise ModelError(f"{packed.graph}: nested too deeply") from error
    return model


def _taken(value: Any, types: Types, where: str) -> dict[str, Any]:
    """Take an object that has these keys and no others, each of its type."""
    if not isinstance(value, dict):
        raise PackedError(f"{where}: must be an object, not {shown(value)}")
    for key in types:
        if key not in value:
            raise PackedError(f"{where}: '{key}' is missing")
    for key, content in value.items():
        if key not in types:
            raise PackedError(f"{where}: unknown key {shown(key)}; known are {', '.join(types)}")
        if not isinstance(content, types[key]) or isinstance(content, bool):
            raise PackedError(f"{where}: '{key}' must be of type {types[key].__name__}, not {shown(content)}")
        if isinstance(content, str):
            _require_text(content, f"{where}: '{key}'")
    return value


def _require_text(text: str, where: str) -> None:
    if len(text) > LONGEST_TEXT or not text.isprintable():
        raise PackedError(f"{where} must be text that can be printed, of at most {LONGEST_TEXT} letters")


def _texts(values: list[Any], where: str) -> tuple[str, ...]:
    for value in values:
        if not isinstance(value, str):
            raise PackedError(f"{where}: must be a list of names, not {shown(value)}")
        _require_text(value, where)
    return tuple(values)


def _shape(value: Any, where: str) -> tuple[Dim, ...]:
    try:
        return shape_from_json(value)
    except PackedError as error:
        raise PackedError(f"{where}: {error}") from error


class _Reader:
    """Reads one document, from its head to its last tensor."""

    def __init__(self, packed: PackedFolder) -> None:
        self.packed = packed
        self.used: set[str] = set()
        said = packed.document.get("format"), packed.document.get("version")
        if said != (FORMAT, VERSION):
            raise PackedError(
                f"format {shown(said[0])}, version {shown(said[1])}; this program reads '{FORMAT}', version"
                f" {VERSION}; pack the model again"
            )
        self.head = _taken(dict(packed.document), _HEAD, "the document")

    def model(self, request: ModelRequest) -> LoadedModel:
        """Give the model as it is asked for."""
        layout, window = self._layout(request)
        graph = self._graph()
        length_and_bases = (4, window) if layout.layout == LAYOUTS[0] else (window, 4)
        if graph.input_shape != (BatchDim(), *length_and_bases):
            raise PackedError(f"input: its shape isn't that of windows of {window} bp in {layout.layout}")
        files = (self.packed.graph, self.packed.weights)
        names = tuple(self._names(entry) for entry in self.head["outputs"])
        return LoadedModel(self.head["name"], PackedNetwork(graph), window, layout, names, files)

    def _layout(self, request: ModelRequest) -> tuple[InputLayout, int]:
        window, layout = self.head["window"], self.head["layout"]
        if not 0 < window <= LONGEST_WINDOW:
            raise PackedError(f"'window' must be between 1 and {LONGEST_WINDOW:,} bp")
        if request.window not in (None, window):
            raise PackedError(f"packed for windows of {window} bp, not {request.window}; pack it again")
        if request.layout not in (None, layout):
            raise PackedError(f"packed with the layout {layout}, not {request.layout}; leave out --layout")
        try:
            return InputLayout(request.alphabet or self.head["alphabet"], layout), window
        except ModelError as error:
            raise PackedError(str(error)) from error

    def _graph(self) -> CanonicalGraph:
        given = _taken(self.head["input"], _INPUT, "input")
        dtype = dtype_of(self.head["dtype"])
        if not dtype.is_floating_point:
            raise PackedError(f"'dtype' must be a type of floating-point numbers, not {self.head['dtype']}")
        if len(self.head["nodes"]) > MOST_TENSORS:
            raise PackedError(f"more than {MOST_TENSORS:,} nodes")
        shapes: dict[str, tuple[Dim, ...]] = {given["name"]: _shape(given["shape"], "input")}
        nodes = []
        for number, entry in enumerate(self.head["nodes"], 1):
            node = self._node(entry, number, shapes)
            shapes[node.name] = node.shape
            nodes.append(node)
        outputs = tuple(self._output(entry, shapes) for entry in self.head["outputs"])
        if unused := set(self.packed.tensors) - self.used:
            raise PackedError(f"no node holds the tensor {shown(min(unused))} of {self.packed.weights.name}")
        # Where weights are kept with more digits than the type has, they are as they were.
        graph = CanonicalGraph(
            given["name"], shapes[given["name"]], tuple(nodes), outputs, dtype, torch.device("cpu")
        )
        _require_read(graph)
        return graph.to(graph.device, dtype)

    def _node(self, entry: Any, number: int, shapes: Mapping[str, tuple[Dim, ...]]) -> Node:
        fields = _taken(entry, _NODE, f"node {number}")
        name = fields["name"]
        where = f"node {shown(name)}"
        if not name or name in shapes:
            raise PackedError(f"{where}: its name is {'another' if name else 'no'} node's")
        inputs = _texts(fields["inputs"], f"{where}: 'inputs'")
        for source in inputs:
            if source not in shapes:
                raise PackedError(f"{where}: reads {shown(source)}, neither the input nor a node before it")
        shape = _shape(fields["shape"], where)
        if sum(isinstance(dim, BatchDim) for dim in shape) != 1:
            raise PackedError(f"{where}: its shape must have one axis of samples")
        try:
            operation = self._operation(fields["kind"], fields["parameters"], len(inputs))
        except PackedError as error:
            raise PackedError(f"{where}: {error}") from error
        return Node(name, operation, inputs, shape, fields["module"], fields["source"])

    def _operation(self, name: str, given: Mapping[str, Any], n_inputs: int) -> Operation:
        kind = kinds().get(name)
        if kind is None:
            raise PackedError(f"unknown kind {shown(name)}")
        if not n_inputs:
            raise PackedError("it reads nothing")
        for parameter in kind.parameters:
            if parameter not in given and parameter not in kind.optional:
                raise PackedError(f"{name}: the parameter '{parameter}' is missing")
        return kind.operation(**{p: self._parameter(kind, p, value, n_inputs) for p, value in given.items()})

    def _parameter(self, kind: Kind, name: str, given: Any, n_inputs: int) -> Any:
        if name not in kind.parameters:
            raise PackedError(f"{kind.name}: unknown parameter {shown(name)}")
        try:
            value = from_json(given, self._tensor)
        except PackedError as error:
            raise PackedError(f"{kind.name}: '{name}': {error}") from error
        if not fits(value, kind.parameters[name]):
            raise PackedError(f"{kind.name}: '{name}' can't be {shown(given)}")
        if kind.parameters[name] == Arguments and set(places_in(value)) != set(range(n_inputs)):
            raise PackedError(f"{kind.name}: '{name}' doesn't name each of its {n_inputs} inputs")
        return value

    def _tensor(self, name: str) -> Tensor:
        if name not in self.packed.tensors:
            raise PackedError(f"no tensor {shown(name)} in {self.packed.weights.name}")
        tensor = self.packed.tensors[name]
        self.used.add(name)
        try:
            dtype_name(tensor.dtype)
        except UnpackableError as error:
            raise PackedError(f"tensor {shown(name)} holds {error}") from error
        if tensor.is_floating_point() and bool(tensor.isnan().any()):
            raise PackedError(f"tensor {shown(name)} of {self.packed.weights.name} holds NaN")
        return tensor

    def _output(self, entry: Any, shapes: Mapping[str, tuple[Dim, ...]]) -> GraphOutput:
        fields = _taken(entry, _OUTPUT, "outputs")
        where = f"output {shown(fields['name'])}"
        node, shape = fields["node"], _shape(fields["shape"], where)
        if node and node not in shapes:
            raise PackedError(f"{where}: there is no node {shown(node)}")
        if not node and not fields["obstacle"]:
            raise PackedError(f"{where}: no node computes it, and no obstacle says why")
        if node and shapes[node] != shape:
            raise PackedError(f"{where}: its shape isn't that of node {shown(node)}")
        return GraphOutput(fields["name"], node, shape, fields["obstacle"])

    def _names(self, entry: Mapping[str, Any]) -> OutputNames:
        if entry["axes"] not in AXES:
            raise PackedError(f"output {shown(entry['name'])}: 'axes' must be one of {', '.join(AXES)}")
        tasks = _texts(entry["tasks"], f"output {shown(entry['name'])}: 'tasks'")
        return OutputNames(entry["called"], tasks, entry["axes"])


def _require_read(graph: CanonicalGraph) -> None:
    """Refuse nodes that no output needs."""
    needed = graph.restricted(tuple(range(len(graph.outputs)))).by_name()
    for node in graph.nodes:
        if node.name not in needed:
            raise PackedError(f"node {shown(node.name)}: no output needs it")
