"""The models of a run, loaded and ready to explain windows as one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from sparselrp_cli.errors import STEP, ModelError, SparselrpError, TargetError
from sparselrp_cli.files.digest import FileEntry
from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, output_names, recall_model
from sparselrp_cli.graph.located import bins_of
from sparselrp_cli.graph.steps import steps_beside
from sparselrp_cli.graph.targets import Target, TargetParser, Term
from sparselrp_cli.graph.token_notes import token_notes
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.model.memory import collect, is_large
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.relevance.batching import allow_tf32, automatic_batch_size
from sparselrp_cli.relevance.choices import DTYPES, REDUCED
from sparselrp_cli.relevance.ensemble import EnsembleExplainer
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.precision import agreement
from sparselrp_cli.relevance.pruning import Pruning
from sparselrp_cli.relevance.rules import RULES
from sparselrp_cli.relevance.windows import ExplainedWindows, WindowExplainer
from sparselrp_cli.runs.composite_file import find_composite
from sparselrp_cli.sequences.blocks import Under
from sparselrp_cli.sequences.source import Batch
from sparselrp_cli.settings.manifest import Manifest, ModelEntry
from sparselrp_cli.settings.run import RunSettings
from sparselrp_cli.settings.targets import AskedTarget

logger = logging.getLogger("sparselrp")


@dataclass(frozen=True, slots=True)
class PreparedModel:
    """A model, ready to be explained.

    Attributes
    ----------
    label : str
        What messages call it: ``model 2 ('fold1')``.
    model : LoadedModel
    explainer : Explainer
    windows : WindowExplainer
    exact : WindowExplainer or None
        The same in float32, where the run has reduced precision.
    """

    label: str
    model: LoadedModel
    explainer: Explainer
    windows: WindowExplainer
    exact: WindowExplainer | None = None

    @property
    def under(self) -> tuple[Under, ...]:
        """The parts of a window that blocks must touch."""
        return tuple(
            Under(self.explainer.names[output].name, *bins.within(self.model.window))
            for output, bins in self.explainer.bins.items()
        )


def pruning_of(settings: RunSettings) -> Pruning:
    """Give how layers are pruned."""
    if isinstance(settings.prune, str) or isinstance(settings.prune_negative, str):
        return Pruning(0.0, automatic=True, redistribute=settings.redistribute)
    return Pruning(settings.prune, settings.prune_negative, redistribute=settings.redistribute)


def prepare_all(
    requests: Sequence[ModelRequest], settings: RunSettings, device: torch.device
) -> list[PreparedModel]:
    """Load the models, and make sure that they can be explained as one.

    Raises
    ------
    SparselrpError
        Of several models, with the number and name of the one that it is about.
    """
    several = len(requests) > 1
    loaded: list[tuple[str, LoadedModel]] = []
    for number, request in enumerate(requests, 1):
        logger.log(STEP, "loading the model %s ...", request.reference)
        with _naming(f"model {number}" if several else ""):
            model = recall_model(replace(request, by_window=True), cached=not settings.no_cache)
        loaded.append((f"model {number} ('{model.name}')", model))
    _require_one_window(loaded)
    models: list[PreparedModel] = []
    for label, model in loaded:
        with _naming(label if several else ""):
            models.append(prepare(settings, label, model, device))
        _require_same_targets(models[0], models[-1])
    if several:
        logger.info("%d models, averaged: %s", len(loaded), ", ".join(model.name for _, model in loaded))
    return models


def prepare(settings: RunSettings, label: str, model: LoadedModel, device: torch.device) -> PreparedModel:
    """Make a model ready to be explained; `label` is for messages.

    Raises
    ------
    SparselrpError
        If an operation has no rule, or a target isn't one of the model's.
    """
    graph = capture_model(model)
    targets = _targets(settings.targets, TargetParser(graph.outputs, output_names(model, graph)))
    return prepare_graph(settings, label, model, graph, targets, device)


def prepare_graph(
    settings: RunSettings, label: str, model: LoadedModel, graph: CanonicalGraph, targets: Sequence[Target],
    device: torch.device, *, input_non_negative: bool = True,
) -> PreparedModel:  # fmt: skip
    """Make the captured graph of a model ready for targets that were read already; see `prepare`.

    Parameters
    ----------
    targets : sequence of Target
        In the place of those of the settings.
    input_non_negative : bool
        Whether inputs never hold negative values, as one-hot sequences don't.
    """
    composite = find_composite(settings.composite)
    if settings.select is not None:
        composite = replace(composite, select=RULES[settings.select]())
    names = output_names(model, graph)
    bins = bins_of(graph, targets, names, 3 - model.layout.base_axis, settings.bins)

    def explaining(dtype: torch.dtype) -> WindowExplainer:
        explainer = Explainer(
            graph.to(device, dtype), targets, names, composite, pruning_of(settings),
            input_non_negative=input_non_negative, base_axis=model.base_axis, ends=settings.ends,
            centre=model.layout.in_order(settings.centre) if settings.centre else None,
            bins=bins,
        )  # fmt: skip
        x = model.example(1).to(device, dtype)
        explainer.check_cropping(x)
        if settings.reverse_complement:
            explainer.check_cropping(x, mirrored=True)
        return WindowExplainer(explainer, model.layout, average_strands=settings.reverse_complement)

    read = tuple({term.output for target in targets for term in target.every_term})
    for note in steps_beside(graph.restricted(read)):
        logger.warning("%s: %s", label or model.name, note)
    windows = explaining(getattr(torch, DTYPES[settings.dtype]))
    for note in (*token_notes(graph), *windows.explainer.notes):
        logger.info("%s: %s", model.name, note)
    if settings.bins is not None and not bins:
        logger.warning("--bins changes nothing: no target has @blocks")
    exact = explaining(torch.float32) if settings.dtype in REDUCED else None
    return PreparedModel(label, model, windows.explainer, windows, exact)


def only_graphs(models: list[PreparedModel]) -> list[PreparedModel]:
    """Take models out of a list, without the modules that their graphs were traced from.

    For who asks nothing but the graphs: the modules' memory is free then, if the list alone held them.
    """
    large = any(is_large(each.model.module) for each in models)
    found = [replace(each, model=replace(each.model, module=nn.Identity())) for each in models]
    models.clear()
    if large:
        collect()
    return found


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


def _require_same_targets(first: PreparedModel, other: PreparedModel) -> None:
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


def _tasks(model: PreparedModel, target: Target) -> str:
    """Name what a target adds up, the same for the same tasks; nothing where the model doesn't name them."""
    logarithms = [(f"log({_sum(model, each.terms)})", each.weight) for each in target.logarithms]
    named = [share for term in target.terms for share in _named(model, term)]
    return _weighed([*named, *((name, w) for name, w in logarithms if name != "log()")])


def _sum(model: PreparedModel, terms: Sequence[Term]) -> str:
    return _weighed([share for term in terms for share in _named(model, term)])


def _weighed(shares: Sequence[tuple[str, float]]) -> str:
    """Write a sum of names, each with its weight, in one order; nothing where there is none."""
    weights: dict[str, float] = {}
    for name, share in shares:
        weights[name] = weights.get(name, 0.0) + share
    plus, minus = (
        [
            f"{'' if abs(w) == 1 else f'{abs(w):.6g}*'}{name}"
            for name, w in sorted(weights.items())
            if sign * w > 0
        ]
        for sign in (1, -1)
    )
    return "-".join(["+".join(plus), *minus])


def _named(model: PreparedModel, term: Term) -> list[tuple[str, float]]:
    """Give the name of each task of a term and its share; none where a task has no name."""
    names = model.explainer.names[term.output].tasks
    if term.task is None:
        return []
    tasks = term.task if isinstance(term.task, range) else range(term.task, term.task + 1)
    if tasks.stop > len(names):
        return []
    return [(names[task], term.weight / len(tasks)) for task in tasks]


def _targets(asked: Sequence[AskedTarget], parser: TargetParser) -> list[Target]:
    """Read the targets, each once."""
    if not asked:
        return [parser.default()]
    return [_target(each, parser) for each in dict.fromkeys(asked)]


def _target(asked: AskedTarget, parser: TargetParser) -> Target:
    if isinstance(asked, str):
        return parser.parse(asked)
    try:
        return replace(parser.parse(asked.expression), name=asked.name)
    except TargetError as error:
        where = f"{asked.where}: " if asked.where else ""
        raise TargetError(f"{where}'{asked.name}': {error}") from error


def averaged(explainers: Sequence[WindowExplainer]) -> WindowExplainer | EnsembleExplainer:
    """Give what explains windows as the mean of the models."""
    return EnsembleExplainer(explainers) if len(explainers) > 1 else explainers[0]


def batch_size(model: PreparedModel) -> int:
    """Choose how many windows of a model are explained at once."""

    def trial(count: int) -> None:
        bases = np.arange(count * model.model.window).reshape(count, 1, -1) % 4
        one_hot = (bases == np.arange(4)[:, None]).astype(np.uint8)
        marked = np.ones((count, model.model.window), np.uint8) if model.explainer.bins else None
        model.windows.explain(one_hot, [False] * count, marked)

    return automatic_batch_size(model.explainer.graph, trial)


def measure_agreement(
    models: Sequence[PreparedModel],
    batch: Batch,
    explained: ExplainedWindows,
    dtype: str,
    rows: Mapping[str, Tensor] = NO_ROWS,
) -> dict[str, float]:
    """Compare with float32, and say how far off it is."""
    reverse = [w.strand == "-" for w in batch.windows]
    allow_tf32(False)
    exact = averaged([m.exact for m in models if m.exact is not None])
    agreed = agreement(explained, exact.explain, batch.one_hot, reverse, batch.marked, rows)
    allow_tf32(dtype == "tf32")
    logger.info("%s: %s", dtype, agreed.describe())
    return asdict(agreed)


def manifest_of(
    models: Sequence[PreparedModel], inputs: Mapping[str, str], asked: RunSettings, batch_size: int
) -> Manifest:
    """Say what identifies the run: no times, no host, and no number of threads, so that equal runs agree.

    Parameters
    ----------
    inputs : mapping of role to path
        ``sequences`` and, where there are any, ``regions``.
    asked : RunSettings
        As the user gave them; what they leave open is filled in.
    batch_size : int
        In windows.
    """
    first, pruning = models[0], pruning_of(asked)
    settled = replace(
        asked,
        targets=tuple(dict.fromkeys(asked.targets)) or (first.explainer.targets[0].name,),
        window=first.model.window,
        select=None if first.explainer.select is None else first.explainer.select.name,
        prune_negative="auto" if pruning.automatic else pruning.proportion_negative,
        formats=asked.wanted_formats(on_genome="regions" in inputs),
        batch_size=batch_size,
        device=first.explainer.graph.device.type,
    )
    return Manifest(
        inputs={role: FileEntry.of(path) for role, path in inputs.items()},
        models=tuple(map(_entry, models)),
        settings=settled,
        torch=torch.__version__,
    )


def _entry(model: PreparedModel) -> ModelEntry:
    layout = model.model.layout
    return ModelEntry(
        name=model.model.name,
        files=tuple(map(FileEntry.of, model.model.files)),
        alphabet=layout.alphabet,
        layout=layout.layout,
        rules={name: rule.describe() for name, rule in model.explainer.rules.items()},
        ends=(*token_notes(model.explainer.graph), *model.explainer.notes),
    )
