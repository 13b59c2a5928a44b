"""What a traced model returns: each output with its name, and why it can't be explained where it can't."""

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from torch import Tensor, fx
from torch.export import ExportedProgram
from torch.export.graph_signature import OutputKind

from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import Dim
from sparselrp_cli.graph.targets.axes import obstacle

_KINDS: Mapping[torch.dtype, str] = MappingProxyType(
    {
        torch.bool: "truth values",
        torch.complex64: "complex numbers",
        torch.complex128: "complex numbers",
    }
)


def outputs_of(
    program: ExportedProgram,
    node: fx.Node,
    refs: Mapping[fx.Node, str],
    shapes: Mapping[str, tuple[Dim, ...]],
    sequence: str,
) -> tuple[GraphOutput, ...]:
    """Give all that the model returns, in the order in which it flattens; see `check_against_module`.

    Parameters
    ----------
    node : fx.Node
        The program's last, which returns.
    refs : mapping of fx.Node to str
        The canonical node of each activation.
    shapes : mapping of str to shape
        Of the canonical nodes.
    sequence : str
        Name of the input.
    """
    specs = program.graph_signature.output_specs  # the user's, and what forward wrote to
    every = zip(specs, node.args[0], strict=True)  # type: ignore[arg-type]
    returned = [item for spec, item in every if spec.kind == OutputKind.USER_OUTPUT]
    outputs = []
    for name, item in zip(_names(program, len(returned)), returned, strict=True):
        ref = refs.get(item, "") if isinstance(item, fx.Node) else ""
        found = GraphOutput(name, ref, shapes.get(ref, ()), _obstacle(item, ref, sequence))
        outputs.append(dataclasses.replace(found, obstacle=obstacle(found)))
    return tuple(outputs)


def _obstacle(item: Any, ref: str, sequence: str) -> str:
    """Say why what is returned can't be explained, as far as that doesn't depend on its path."""
    if not isinstance(item, fx.Node):
        return "it is None" if item is None else f"it isn't a tensor but of type {type(item).__name__}"
    if not ref:
        return "it doesn't depend on the sequence"
    if ref == sequence:
        return "it is the sequence itself"
    value = item.meta.get("val")
    if isinstance(value, Tensor) and not value.is_floating_point():
        kind = _KINDS.get(value.dtype, "integers")
        return f"it holds {kind}, not real numbers; return what they are made from"
    return ""


def _names(program: ExportedProgram, count: int) -> list[str]:
    """Name the outputs by the keys or fields of the returned structure where it has some."""
    structure = program.call_spec.out_spec
    plain = ["output"] if count == 1 else [f"output{i}" for i in range(count)]
    if structure is None:
        return plain
    tree = torch.utils._pytree.tree_unflatten(list(range(count)), structure)
    try:
        paths = [path for path, _ in torch.utils._pytree.tree_flatten_with_path(tree)[0]]
    except ValueError:  # of a class that was registered without saying its keys
        return list(map(str, tree)) if isinstance(tree, Mapping) and len(tree) == count else plain
    if any(not path or isinstance(path[0], torch.utils._pytree.SequenceKey) for path in paths):
        return plain
    return [".".join(map(_key, path)) for path in paths]


def _key(entry: Any) -> str:
    """Give the key, the field or the index of one step into a structure."""
    for attribute in ("key", "name", "idx"):
        if hasattr(entry, attribute):
            return str(getattr(entry, attribute))
    return str(entry)
