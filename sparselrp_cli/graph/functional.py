"""Which programs of torch.export can be converted as they are, without being traced once more."""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import fx
from torch.export import ExportedProgram

from sparselrp_cli.graph.overloads import CONVERTERS

aten = torch.ops.aten
_ON_SIZES = "_operator"
"""Where Python keeps what is done with sizes, and with functions of several results."""

_IN_TRAINING: Mapping[object, int] = MappingProxyType(
    {aten.batch_norm.default: 5, aten.dropout.default: 2, aten.feature_dropout.default: 2}
)
"""The argument that says whether they go by the batch, or draw numbers."""

_ASIDE = frozenset(
    {aten.sym_size.int, aten._assert_tensor_metadata.default, aten._assert_scalar.default}
)  # fmt: skip
"""What asks for sizes or checks them."""


def is_functional(program: ExportedProgram) -> bool:
    """Say whether a program writes to no tensor and calls nothing that torch must break up first.

    Most models are like that. `ExportedProgram.run_decompositions` would trace them again, which takes as
    long as tracing them did, and give the same functions.
    """
    return all(_is_plain(node) for node in program.graph.nodes if node.op not in ("placeholder", "output"))


def _is_plain(node: fx.Node) -> bool:
    if node.op != "call_function":
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return getattr(node.target, "__module__", None) == _ON_SIZES
    if (mode := _IN_TRAINING.get(node.target)) is not None and node.args[mode]:
        return False
    known = node.target in CONVERTERS or node.target in _ASIDE
    return known and not node.target._schema.is_mutable
