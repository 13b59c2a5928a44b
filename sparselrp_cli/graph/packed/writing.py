"""Writes a canonical graph as a JSON document and named tensors."""

import dataclasses
import hashlib
import json
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from sparselrp_cli import __version__
from sparselrp_cli.errors import ModelError, UnsupportedOperationError, printable
from sparselrp_cli.graph.canonical import CanonicalGraph, GraphOutput, Node
from sparselrp_cli.graph.operation import Operation
from sparselrp_cli.graph.packed.kinds import kind_name, kinds
from sparselrp_cli.graph.packed.values import UnpackableError, dtype_name, shape_to_json, to_json
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.model.packed import DIGEST, digest_of
from sparselrp_cli.model.whole_folders import GRAPH, save_weights

FORMAT, VERSION = "sparselrp canonical graph", 1
LONGEST_TEXT = 1000
"""In letters; of any name, place or reason."""


@dataclass(frozen=True, slots=True)
class Packing:
    """What a packed folder keeps of a model.

    Attributes
    ----------
    name : str
    window : int
        In bp.
    layout : InputLayout
    names : sequence of OutputNames
        Of the graph's outputs.
    graph : CanonicalGraph
    """

    name: str
    window: int
    layout: InputLayout
    names: Sequence[OutputNames]
    graph: CanonicalGraph


def packable(graph: CanonicalGraph) -> CanonicalGraph:
    """Leave out what has no rule; the outputs that need it keep their place and say why.

    Raises
    ------
    UnsupportedOperationError
        If no output is left.
    """
    computable = graph.supported_outputs()
    if not computable:
        graph.require_supported()
    outputs = tuple(
        output if i in computable or output.obstacle else _without_rule(graph, i)
        for i, output in enumerate(graph.outputs)
    )
    return dataclasses.replace(graph.restricted(computable), outputs=outputs)


def _without_rule(graph: CanonicalGraph, index: int) -> GraphOutput:
    output = graph.outputs[index]
    try:
        graph.restricted((index,)).require_supported()
    except UnsupportedOperationError as error:
        return dataclasses.replace(output, obstacle=str(error))
    return output


@dataclass(frozen=True, slots=True)
class Description:
    """A packing as JSON, and the constants that it names.

    Attributes
    ----------
    lists : mapping of str to list
        Its nodes and its outputs.
    tensors : mapping of str to Tensor
    """

    lists: Mapping[str, list[Any]]
    tensors: Mapping[str, Tensor]


def describe(packing: Packing) -> Description:
    """Describe a graph; the same graph is described by the same words.

    Raises
    ------
    ModelError
        If the graph holds what no file can hold.
    """
    constants = _Constants()
    nodes = [_node_to_json(node, packing.graph, constants) for node in packing.graph.nodes]
    there = {packing.graph.input, *packing.graph.by_name()}
    pairs = zip(packing.graph.outputs, packing.names, strict=True)
    outputs = [_output_to_json(output, names, there) for output, names in pairs]
    return Description({"nodes": nodes, "outputs": outputs}, constants.tensors)


def head_of(packing: Packing, digest: str) -> dict[str, Any]:
    """Give what a document says before its nodes; `digest` is that of its weights."""
    return {
        "format": FORMAT,
        "version": VERSION,
        "tool": f"sparselrp {__version__}",
        "name": _text(packing.name),
        "window": packing.window,
        "alphabet": packing.layout.alphabet,
        "layout": packing.layout.layout,
        "dtype": dtype_name(packing.graph.dtype),
        DIGEST: digest,
        "input": {"name": packing.graph.input, "shape": shape_to_json(packing.graph.input_shape)},
    }


def write_packed(packing: Packing, folder: Path) -> None:
    """Write `graph.json` and `weights.safetensors` to a new folder; the same graph gives the same bytes.

    Raises
    ------
    ModelError
        If the graph holds what no file can hold.
    """
    description = describe(packing)
    folder.mkdir(parents=True)
    weights = save_weights(description.tensors, folder)
    text = as_text(head_of(packing, digest_of(weights)), description.lists)
    (folder / GRAPH).write_text(text, encoding="utf-8")


def as_text(head: Mapping[str, Any], lists: Mapping[str, list[Any]]) -> str:
    """Write a line for each entry, so that people can read and compare graphs."""
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in head.items()]
    for key, entries in lists.items():
        within = ",".join(f"\n  {json.dumps(entry, allow_nan=False)}" for entry in entries)
        lines.append(f"{json.dumps(key)}: [{within}\n ]")
    return "{\n " + ",\n ".join(lines) + "\n}\n"


def _text(text: str) -> str:
    """Give a text that may stand in a file: on one line, and not too long."""
    return printable(text)[:LONGEST_TEXT]


def _output_to_json(output: GraphOutput, names: OutputNames, there: Container[str]) -> dict[str, Any]:
    return {
        "name": _text(output.name),
        "node": output.node if output.node in there else "",
        "shape": shape_to_json(output.shape),
        "obstacle": _text(output.obstacle),
        "called": _text(names.name),
        "tasks": list(map(_text, names.tasks)),
        "axes": names.axes,
    }


def _node_to_json(node: Node, graph: CanonicalGraph, constants: "_Constants") -> dict[str, Any]:
    known, before = graph.exact.get(node.name, (node.operation, node.operation))
    operation = before if known is node.operation else node.operation
    try:
        parameters = _parameters(operation, node.name, constants)
    except UnpackableError as why:
        raise ModelError(f"{operation.kind} at {node.where} can't be packed: it holds {why}") from why
    return {
        "name": node.name,
        "kind": kind_name(type(operation)),
        "inputs": list(node.inputs),
        "shape": shape_to_json(node.shape),
        "parameters": parameters,
        "module": _text(node.module),
        "source": _text(node.source),
    }


def _parameters(operation: Operation, node: str, constants: "_Constants") -> dict[str, Any]:
    name = kind_name(type(operation))
    if name not in kinds() or kinds()[name].operation is not type(operation):
        raise UnpackableError(f"an operation of type {type(operation).__name__}")
    return {
        parameter: to_json(getattr(operation, parameter), constants.keep, f"{node}.{parameter}")
        for parameter in kinds()[name].parameters
    }


class _Constants:
    """Collects tensors; equal ones are kept once, under the name of the first."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self._known: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def keep(self, tensor: Tensor, name: str) -> str:
        """Keep a tensor; give the name that it has in the file."""
        tensor = tensor.detach().contiguous()
        content = hashlib.sha256(tensor.reshape(-1).view(torch.uint8).numpy().data).digest()
        key = dtype_name(tensor.dtype), tuple(tensor.shape), content
        if key not in self._known:
            self._known[key] = name
            # Views of one storage would be refused.
            self.tensors[name] = tensor.clone()
        return self._known[key]
