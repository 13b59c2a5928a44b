"""TensorFlow's frozen graphs, read as data with `protobuf` alone: nodes, their inputs, their constants."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sparselrp_cli.errors import ModelError

_FLOAT, _INT32, _INT64 = 1, 3, 9  # tensorflow/core/framework/types.proto
_NUMPY = {_FLOAT: "<f4", _INT32: "<i4", _INT64: "<i8"}
# Message: (field, number, type, repeated), as TensorFlow's graph.proto, node_def.proto, attr_value.proto and
# tensor.proto number them; fields that aren't needed are left out, and skipped where a file has them.
_MESSAGES: Mapping[str, tuple[tuple[str, int, str, bool], ...]] = {
    "Dim": (("size", 1, "int64", False),),
    "Shape": (("dim", 2, "Dim", True),),
    "Tensor": (
        ("dtype", 1, "int32", False), ("tensor_shape", 2, "Shape", False),
        ("tensor_content", 4, "bytes", False), ("float_val", 5, "float", True),
        ("int_val", 7, "int32", True), ("int64_val", 10, "int64", True),
    ),
    "List": (("i", 3, "int64", True),),
    "Attribute": (
        ("list", 1, "List", False), ("s", 2, "bytes", False), ("i", 3, "int64", False),
        ("b", 5, "bool", False), ("tensor", 8, "Tensor", False),
    ),
    "Entry": (("key", 1, "string", False), ("value", 2, "Attribute", False)),
    "Node": (
        ("name", 1, "string", False), ("op", 2, "string", False), ("input", 3, "string", True),
        ("attr", 5, "Entry", True),
    ),
    "Graph": (("node", 1, "Node", True),),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class GraphNode:
    """One operation.

    Attributes
    ----------
    name, op : str
    inputs : tuple of str
        Names of nodes whose value it takes; control inputs left out.
    settings : mapping
        Attributes that are whole numbers, lists of them, or words.
    value : array or None
        Of a constant.
    """

    name: str
    op: str
    inputs: tuple[str, ...]
    settings: Mapping[str, Any]
    value: Any = None


def read_graph(path: Path) -> dict[str, GraphNode]:
    """Read a frozen graph.

    Raises
    ------
    ModelError
        If `protobuf` isn't installed, or the file is none.
    """
    message = _graph_class(path)()
    try:
        message.ParseFromString(path.read_bytes())
        nodes = {node.name: _node(node) for node in message.node}
    except OSError as error:
        raise ModelError(f"{path}: can't be read ({error.strerror})") from error
    except Exception as error:
        raise ModelError(
            f"{path}: not a frozen TensorFlow graph, or a damaged one; get the file again"
        ) from error
    if not nodes:
        raise ModelError(f"{path}: a TensorFlow graph without nodes; get the file again")
    return nodes


def _graph_class(path: Path) -> Any:
    try:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
    except ImportError as error:
        raise ModelError(
            f"{path}: reading a TensorFlow graph needs protobuf; install it with: pip install"
            " 'sparselrp[import]'"
        ) from error
    file = descriptor_pb2.FileDescriptorProto(name="graph.proto", package="graph", syntax="proto3")
    kinds = descriptor_pb2.FieldDescriptorProto
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, number, kind, repeated in fields:
            label = kinds.LABEL_REPEATED if repeated else kinds.LABEL_OPTIONAL
            added = message.field.add(name=field, number=number, label=label)
            if kind in _MESSAGES:
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".graph.{kind}"
            else:
                added.type = getattr(kinds, f"TYPE_{kind.upper()}")
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("graph.Graph"))


def _node(node: Any) -> GraphNode:
    attributes = {entry.key: entry.value for entry in node.attr}
    inputs = tuple(name.split(":")[0] for name in node.input if not name.startswith("^"))
    value = _value(attributes["value"].tensor) if node.op == "Const" and "value" in attributes else None
    settings = {key: _setting(a) for key, a in attributes.items() if key != "value"}
    return GraphNode(node.name, node.op, inputs, settings, value)


def _setting(attribute: Any) -> Any:
    if attribute.list.i:
        return list(attribute.list.i)
    return attribute.s.decode("utf-8", "replace") if attribute.s else attribute.i or attribute.b


def _value(tensor: Any) -> Any:
    """Read a constant; one of a type that isn't needed gives None."""
    if tensor.dtype not in _NUMPY:
        return None
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.tensor_content:
        return np.frombuffer(tensor.tensor_content, _NUMPY[tensor.dtype]).reshape(shape)
    given = {_FLOAT: tensor.float_val, _INT32: tensor.int_val, _INT64: tensor.int64_val}[tensor.dtype]
    values = np.asarray(list(given), _NUMPY[tensor.dtype])
    if len(values) not in (1, math.prod(shape)):
        raise ValueError("a constant of the wrong size")
    return np.broadcast_to(values[0], shape) if len(values) == 1 else values.reshape(shape)
