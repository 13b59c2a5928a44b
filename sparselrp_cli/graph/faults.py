"""Programs that can't be explained, whatever the rules: random ones, and those that mix their batch."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import fx
from torch.export import ExportedProgram

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.tracing import place_of

_IN_TRAINING = MappingProxyType({"train": True, "training": True})
_SHARES_DROPPED = ("p", "dropout_p", "dropout")
_DROPOUTS = frozenset(
    {"dropout", "native_dropout", "feature_dropout", "alpha_dropout", "feature_alpha_dropout"}
)
_BATCH_NORMS = frozenset(
    {
        "batch_norm", "native_batch_norm", "cudnn_batch_norm", "miopen_batch_norm", "_batch_norm_with_update",
        "_batch_norm_with_update_functional", "_native_batch_norm_legit",
        "_native_batch_norm_legit_functional",
    }
)  # fmt: skip


def require_explainable(program: ExportedProgram, differs: Callable[[], bool]) -> None:
    """Refuse a program that draws random numbers, or normalises a window by the others of its batch.

    Parameters
    ----------
    program : ExportedProgram
    differs : callable
        Whether two calls of the model give different outputs; asked where numbers are drawn that needn't
        matter.

    Raises
    ------
    ModelError
        With the line of the model's code and what to write there.
    """
    for node in program.graph.nodes:
        if node.op == "call_function" and isinstance(node.target, torch._ops.OpOverload):
            name = str(node.target).split(".")[1]
            arguments = _arguments(node)
            if _is_random(node, arguments) and (name in _DROPOUTS or differs()):
                raise ModelError(_random(name, _at(node)))
            if name in _BATCH_NORMS and _mixes_samples(node, arguments):
                raise ModelError(
                    f"batch norm{_at(node)} uses the statistics of its batch, so a window's map would depend"
                    " on the other windows; it needs running statistics: track_running_stats=True in"
                    " training, training=self.training where it is called as a function"
                )


def _random(name: str, at: str) -> str:
    if name in _DROPOUTS or name == "bernoulli":
        return (
            f"dropout is called with training=True{at}, so outputs differ from call to call; write"
            " F.dropout(x, p, training=self.training), or leave nn.Dropout in evaluation mode"
        )
    if name.startswith("scaled_dot_product") or "attention" in name:
        return (
            f"attention is called with dropout_p above 0{at}, so outputs differ from call to call; write"
            " dropout_p=p if self.training else 0.0"
        )
    return (
        f"'{name}' draws random numbers{at}, so outputs differ from call to call; draw them only"
        " if self.training"
    )


def _arguments(node: fx.Node) -> Mapping[str, object]:
    schema = node.target._schema  # type: ignore[union-attr]
    given = {a.name: v for a, v in zip(schema.arguments, node.args, strict=False)}
    return {a.name: a.default_value for a in schema.arguments} | given | dict(node.kwargs)


def _is_random(node: fx.Node, arguments: Mapping[str, object]) -> bool:
    if torch.Tag.nondeterministic_seeded not in node.target.tags:  # type: ignore[union-attr]
        return False
    if any(arguments.get(name, on) != on for name, on in _IN_TRAINING.items()):
        return False
    return all(arguments.get(name) != 0 for name in _SHARES_DROPPED)


def _mixes_samples(node: fx.Node, arguments: Mapping[str, object]) -> bool:
    if arguments.get("training", False) is not True:
        return False
    value = node.args[0].meta.get("val") if isinstance(node.args[0], fx.Node) else None
    # Instance norm lays all samples along the channels of one.
    return not (isinstance(value, torch.Tensor) and isinstance(value.shape[0], int) and value.shape[0] == 1)


def _at(node: fx.Node) -> str:
    module, line = place_of(node)
    places = [f"module '{module}'"] if module else []
    places += [line] if line else []
    return f" at {', '.join(places)}" if places else ""
