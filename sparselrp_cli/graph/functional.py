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

READING_SHAPES = frozenset(
    {
        aten.sym_size.int, aten.full_like.default, aten.zeros_like.default, aten.ones_like.default,
        aten.new_zeros.default, aten.new_ones.default, aten.new_full.default, aten.empty_like.default,
    }
)  # fmt: skip
"""What asks an activation for its shape or type only; the results are constants."""

_CHECKING = frozenset({aten._assert_tensor_metadata.default, aten._assert_scalar.default})


def is_functional(program: ExportedProgram) -> bool:
    """Say whether a program writes to no tensor and calls nothing that torch must break up first.

    Most models are like that. `ExportedProgram.run_decompositions` would trace them again, which takes as
    long as tracing them did, and give the same functions.
    """
    activations = {node for node in program.graph.nodes if node.name in program.graph_signature.user_inputs}
    for node in program.graph.nodes:
        if node.op in ("placeholder", "output"):
            continue
        reads = not activations.isdisjoint(node.all_input_nodes)
        if not _is_plain(node, of_constants=not reads):
            return False
        if reads and node.target not in READING_SHAPES:
            activations.add(node)
    return True


def _is_plain(node: fx.Node, *, of_constants: bool) -> bool:
    if node.op != "call_function":
        return False
    if not isinstance(node.target, torch._ops.OpOverload):
        return getattr(node.target, "__module__", None) == _ON_SIZES
    if (mode := _IN_TRAINING.get(node.target)) is not None and node.args[mode]:
        return False
    if node.target._schema.is_mutable:
        return False
    if node.target in CONVERTERS or node.target in READING_SHAPES | _CHECKING:
        return True
    # What is computed of constants alone needs no rule, and is the same each time.
    return of_constants and torch.Tag.nondeterministic_seeded not in node.target.tags
