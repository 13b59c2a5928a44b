"""The models of a run, loaded and ready to explain windows as one."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch

from sparselrp_cli.errors import ModelError, SparselrpError, TargetError
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.passes.ends import undo_ends
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.loading import LoadedModel, ModelRequest, load_model
from sparselrp_cli.relevance.batching import allow_tf32, automatic_batch_size
from sparselrp_cli.relevance.choices import DTYPES, REDUCED
from sparselrp_cli.relevance.ensemble import EnsembleExplainer
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.precision import agreement
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.windows import ExplainedWindows, WindowExplainer
from sparselrp_cli.runs.composite_file import find_composite
from sparselrp_cli.runs.manifest import ModelRecord
from sparselrp_cli.sequences.source import Batch

logger = logging.getLogger("sparselrp")


@dataclass(frozen=True, slots=True)
class ExplainOptions:
    """How the models are explained; see the help of `sparselrp attribute` for each."""

    targets: tuple[str, ...]
    composite: str
    pruning: Pruning
    average_strands: bool
    dtype: str


@dataclass(frozen=True, slots=True)
class Member:
    """A model, ready to be explained.

    Attributes
    ----------
    label : str
        What messages call it: ``model 2 ('fold1')``.
    model : LoadedModel
    explainer : Explainer
    windows : WindowExplainer
    """

    label: str
    model: LoadedModel
    explainer: Explainer
    windows: WindowExplainer
    exact: WindowExplainer | None = None
    """The same in float32, where the run has reduced precision."""


def prepare_all(
    requests: Sequence[ModelRequest], options: ExplainOptions, device: torch.device
) -> list[Member]:
    """Load the models, and make sure that they can be explained as one.

    Raises
    ------
    SparselrpError
        Of several models, with the number and name of the one that it is about.
    """
    several = len(requests) > 1
    models: list[tuple[str, LoadedModel]] = []
    for number, request in enumerate(requests, 1):
        with _naming(f"model {number}" if several else ""):
            model = load_model(request)
        models.append((f"model {number} ('{model.name}')", model))
    _require_one_window(models)
    members: list[Member] = []
    for label, model in models:
        with _naming(label if several else ""):
            members.append(prepare(options, label, model, device))
        _require_same_targets(members[0], members[-1])
    if several:
        logger.info("%d models, averaged: %s", len(models), ", ".join(model.name for _, model in models))
    return members


def prepare(options: ExplainOptions, label: str, model: LoadedModel, device: torch.device) -> Member:
    """Make a model ready to be explained; `label` is for messages.

    Raises
    ------
    SparselrpError
        If an operation has no rule, or a target isn't one of the model's.
    """
    graph = capture_model(model)
    names = output_names(model, graph)
    targets = _targets(options.targets, TargetParser(graph.outputs, names))
    graph, undone = undo_ends(graph)
    for note in undone:
        logger.info("%s: %s", label or model.name, note)

    def explaining(dtype: torch.dtype) -> WindowExplainer:
        explainer = Explainer(
            graph.to(device, dtype), targets, names, find_composite(options.composite), options.pruning,
            base_axis=model.layout.base_axis,
        )  # fmt: skip
        return WindowExplainer(explainer, model.layout, average_strands=options.average_strands)

    windows = explaining(getattr(torch, DTYPES[options.dtype]))
    exact = explaining(torch.float32) if options.dtype in REDUCED else None
    return Member(label, model, windows.explainer, windows, exact)


@contextmanager
def _naming(label: str) -> Iterator[None]:
    """Put a label, unless it is empty, before the message of an error."""
    try:
        yield
    except SparselrpError as error:
        if not label:
            raise
        raise type(error)(f"{label}: {error}") from error


def _require_one_window(models: Sequence[tuple[str, LoadedModel]]) -> None:
    (first_label, first), *others = models
    for label, model in others:
        if model.window != first.window:
            raise ModelError(
                f"{label} takes windows of {model.window} bp and {first_label} of {first.window} bp; models"
                " that are averaged must take the same"
            )


def _require_same_targets(first: Member, other: Member) -> None:
    """Stop where two models would explain different things under one name."""
    for ours, theirs in zip(first.explainer.targets, other.explainer.targets, strict=True):
        if ours.name != theirs.name:
            raise TargetError(
                f"{other.label} has the target '{theirs.name}' and {first.label} '{ours.name}'; choose with"
                " --target what is explained"
            )
        our_tasks, their_tasks = _tasks(first, ours), _tasks(other, theirs)
        if our_tasks and their_tasks and our_tasks != their_tasks:
            raise TargetError(
                f"target '{ours.name}' is '{their_tasks}' in {other.label} and '{our_tasks}' in"
                f" {first.label}; models that are averaged must agree"
            )


def _tasks(member: Member, target: Target) -> str:
    """Name the task of each term of a target; nothing where the model doesn't name its tasks."""
    tasks = [(member.explainer.names[term.output].tasks, term.task) for term in target.terms]
    return "-".join(names[task] for names, task in tasks if names and task is not None)


def _targets(texts: Sequence[str], parser: TargetParser) -> list[Target]:
    """Read the targets, each once."""
    if not texts:
        return [parser.default()]
    return [parser.parse(text) for text in dict.fromkeys(texts)]


def averaged(members: Sequence[WindowExplainer]) -> WindowExplainer | EnsembleExplainer:
    return EnsembleExplainer(members) if len(members) > 1 else members[0]


def batch_size(member: Member) -> int:
    """Choose how many windows of a model are explained at once."""

    def trial(count: int) -> None:
        bases = np.arange(count * member.model.window).reshape(count, 1, -1) % 4
        one_hot = (bases == np.arange(4)[:, None]).astype(np.uint8)
        member.windows.explain(one_hot, [False] * count)

    return automatic_batch_size(member.explainer.graph, trial)


def measure_agreement(
    members: Sequence[Member], batch: Batch, explained: ExplainedWindows, dtype: str
) -> dict[str, float]:
    """Compare with float32, and say how far off it is."""
    reverse = [w.strand == "-" for w in batch.windows]
    allow_tf32(False)
    exact = averaged([m.exact for m in members if m.exact is not None])
    found = agreement(explained, exact.explain, batch.one_hot, reverse)
    allow_tf32(dtype == "tf32")
    logger.info("%s: %s", dtype, found.describe())
    return asdict(found)


def record(member: Member) -> ModelRecord:
    """Describe a model for the manifest."""
    layout = member.model.layout
    return ModelRecord(
        name=member.model.name,
        files=member.model.files,
        input={"alphabet": layout.alphabet, "layout": layout.layout},
        rules={name: rule.describe() for name, rule in member.explainer.rules.items()},
    )
