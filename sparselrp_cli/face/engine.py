"""Graphs and explainers of one module, traced once for each shape, and again where the module has changed."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor, nn

from sparselrp_cli.errors import InputError
from sparselrp_cli.face.calling import apart_model
from sparselrp_cli.face.inputs import Examples, Layout
from sparselrp_cli.face.module_state import ModuleState
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.loaded import capture_model, output_names
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.finite import require_finite
from sparselrp_cli.model.loading import ImageModel, LoadedModel
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.runs.models import PreparedModel, prepare_graph
from sparselrp_cli.settings.run import RunSettings

MOST_SHAPES = 16
"""Shapes of examples that a module is kept traced for; the oldest goes."""
MOST_TARGETS = 256
"""Targets whose part of the network is kept."""


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """A graph that is ready to be explained, for any targets that read the outputs of the first ones."""

    prepared: PreparedModel
    _aimed: dict[tuple[Target, ...], Explainer] = field(default_factory=dict)

    def at(self, targets: tuple[Target, ...], *, both_strands: bool) -> Explainer:
        """Give the explainer of some targets; where it computes a part of the network, that was checked."""
        first = self.prepared.explainer
        if targets == first.targets:
            return first
        if targets not in self._aimed:
            if len(self._aimed) >= MOST_TARGETS:
                self._aimed.clear()
                first.forget()
            explainer = first.aimed_at(targets)
            example = self.prepared.model.example(1).to(first.graph.device, first.graph.dtype)
            explainer.check_cropping(example)
            if both_strands:
                explainer.check_cropping(example, mirrored=True)
            self._aimed[targets] = explainer
        return self._aimed[targets]


@dataclass(frozen=True, slots=True, eq=False)
class Captured:
    """A module traced for examples of one shape.

    Attributes
    ----------
    model : LoadedModel
        Without the module.
    graph : CanonicalGraph
    parser : TargetParser
    """

    model: LoadedModel
    graph: CanonicalGraph
    parser: TargetParser
    _ready: dict[Any, Ready] = field(default_factory=dict)

    def ready(self, settings: RunSettings, examples: Examples, targets: tuple[Target, ...]) -> Ready:
        """Give what explains such examples for targets that read the outputs of these."""
        signed = examples.signed
        outputs = frozenset(term.output for target in targets for term in target.every_term)
        if (signed, outputs) not in self._ready:
            of_type = replace(settings, dtype="float64" if examples.x.dtype == torch.float64 else "float32")
            prepared = prepare_graph(
                replace(of_type, centre=()) if examples.are_images else of_type, "", self.model, self.graph,
                targets, examples.x.device, input_non_negative=not signed,
            )  # fmt: skip
            self._ready[signed, outputs] = Ready(prepared)
        return self._ready[signed, outputs]


@dataclass(eq=False)
class Engine:
    """Keeps what a module was traced to.

    Attributes
    ----------
    known : LoadedModel
        The user's module, and what is known of it.
    layout : Layout
    settings : RunSettings
    """

    known: LoadedModel
    layout: Layout
    settings: RunSettings
    _state: ModuleState | None = None
    _captured: dict[Any, Captured] = field(default_factory=dict)

    @property
    def module(self) -> nn.Module:
        """The user's module."""
        return self.known.module

    def captured(self, examples: Examples, rows: Mapping[str, Tensor]) -> Captured:
        """Trace the module for such examples, if it wasn't, or has changed since.

        Raises
        ------
        ModelError
            If it can't be traced, or its weights aren't finite.
        """
        if self._state is None or not self._state.holds(self.module):
            self._captured.clear()
            require_finite(self.module, self.known.name)
            self._state = ModuleState.of(self.module)
        key = self._key(examples, rows)
        if key not in self._captured:
            found = self._capture(examples, rows)
            while len(self._captured) >= MOST_SHAPES:
                del self._captured[next(iter(self._captured))]
            self._captured[key] = found
        return self._captured[key]

    def _key(self, examples: Examples, rows: Mapping[str, Tensor]) -> Any:
        of_rows = tuple((name, tuple(row.shape[1:]), row.dtype) for name, row in rows.items())
        x = examples.x
        signed = examples.are_images and examples.signed
        return tuple(x.shape[1:]), x.dtype, x.device, of_rows, signed

    def _capture(self, examples: Examples, rows: Mapping[str, Tensor]) -> Captured:
        model = self._model(examples)
        with apart_model(model, self.layout.form, rows) as copied:
            graph = capture_model(copied)
        _require_shape(graph, examples, self.layout)
        # What is asked of the module from here on is its graph.
        model = replace(model, module=nn.Identity())
        return Captured(model, graph, TargetParser(graph.outputs, output_names(model, graph)))

    def _model(self, examples: Examples) -> LoadedModel:
        known, shape = self.known, tuple(examples.x.shape[1:])
        if examples.are_images:
            return ImageModel(
                known.name, self.module, 0, known.layout, known.outputs, (), image=shape,
                signed=examples.signed,
            )  # fmt: skip
        return replace(known, window=shape[-1], layout=self.layout.order)


def _require_shape(graph: CanonicalGraph, examples: Examples, layout: Layout) -> None:
    """Stop where a packed graph takes examples of another shape."""
    taken = graph.input_shape[1:]
    one = examples.x[:1] if examples.are_images else layout.order.to_model(examples.x[:1])
    given = tuple(one.shape[1:])
    if (BatchDim(), *given) != graph.input_shape:
        raise InputError(f"x has examples of shape {given}; the packed model takes {taken}")
