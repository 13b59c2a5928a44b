"""Explain batches: one forward pass, then one backward walk for each target."""

import copy
import dataclasses
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType

import torch
from torch import Tensor

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.graph.beside import NO_ROWS, with_rows
from sparselrp_cli.graph.bins import Bins
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.passes.cropping import cropping_error
from sparselrp_cli.graph.passes.fusing import fuse_relu
from sparselrp_cli.graph.passes.pointwise import unroll_pointwise
from sparselrp_cli.graph.passes.skewing import write_skews
from sparselrp_cli.graph.shapes import numbers, resolve
from sparselrp_cli.graph.steps import require_smooth
from sparselrp_cli.graph.targets import Target
from sparselrp_cli.graph.targets.functional import NOTHING, Touched
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.batching import memory_for_values
from sparselrp_cli.relevance.centring import Centre
from sparselrp_cli.relevance.choices import COMPOSITE, Ends
from sparselrp_cli.relevance.composites import PRESETS, Composite
from sparselrp_cli.relevance.ends import Tail, find_tail, notes
from sparselrp_cli.relevance.explanation import Explanation
from sparselrp_cli.relevance.forward import ForwardPass
from sparselrp_cli.relevance.keeping import Keeping, plan_keeping
from sparselrp_cli.relevance.kernels.calling import use_threads
from sparselrp_cli.relevance.offsets import onto_bases
from sparselrp_cli.relevance.pace import Pace, Say
from sparselrp_cli.relevance.plan import plan_pruning
from sparselrp_cli.relevance.program import Program, for_processor, spans_of
from sparselrp_cli.relevance.pruning import STANDARD, Pruning
from sparselrp_cli.relevance.rows import sums
from sparselrp_cli.relevance.rules import Rule
from sparselrp_cli.relevance.signs import non_negative_tensors
from sparselrp_cli.relevance.step import PreparedLayer
from sparselrp_cli.relevance.walk import walk

logger = logging.getLogger("sparselrp")

NO_BINS: Mapping[int, Bins] = MappingProxyType({})
"""Where no target reads blocks."""
_CROPPING_TOLERANCE = MappingProxyType(
    {torch.float64: 1e-9, torch.float32: 1e-2, torch.bfloat16: 0.2, torch.float16: 0.2}
)
"""How far rounding may put outputs apart that are computed from a part of the network, also in tf32."""


class Explainer:
    """Explains a model by pruned layer-wise relevance propagation.

    Parameters
    ----------
    graph : CanonicalGraph
    names : sequence of OutputNames, one for each output
    composite : Composite
        Which rule each layer gets.
    pruning : Pruning
    targets : sequence of Target
    input_non_negative : bool
        Whether inputs never hold negative values, as one-hot sequences don't.
    base_axis : int or None
        The axis of the input that holds the four bases; None where it holds none, as images don't.
    ends : {"auto", "undo", "linear"}
        What is done with a final sigmoid, softmax, exp, log or softplus; see `relevance.ends`.
    centre : sequence of float, or None
        A base composition, in the order of the input's bases, that contributions are given against; see
        `relevance.centring`. None leaves them as they are, which suits inputs that aren't one-hot.
    bins : mapping of int to Bins
        Where the positions of outputs lie, of those that targets read under blocks.
    memory : int, optional
        Bytes for what the walk reads of a batch; beyond that it is computed again on the way back, which
        costs time and changes no number. By default a part of what the device has free.

    Raises
    ------
    UnsupportedOperationError
        If an operation between the input and a target has no rule.
    ModelError
        If a target's output doesn't depend on the input, or by step functions only.
    """

    def __init__(
        self,
        graph: CanonicalGraph,
        targets: Sequence[Target],
        names: Sequence[OutputNames] | None = None,
        composite: Composite = PRESETS[COMPOSITE],
        pruning: Pruning = STANDARD,
        *,
        input_non_negative: bool = True,
        base_axis: int | None = 1,
        ends: Ends = "auto",
        centre: Sequence[float] | None = None,
        bins: Mapping[int, Bins] = NO_BINS,
        memory: int | None = None,
    ) -> None:
        self.memory = memory
        self.say: Say | None = None
        """Is told how far a batch is, where that takes long."""
        explained = tuple(sorted({term.output for target in targets for term in target.every_term}))
        for output in explained:
            graph.require_path(output)
        graph = graph.restricted(explained)
        graph.require_supported()
        for output in explained:
            require_smooth(graph, output)
        graph = dataclasses.replace(graph, exact={})  # it isn't cast any more
        self.graph = graph
        self.targets = tuple(targets)
        self.names = tuple(names) if names else tuple(OutputNames(o.name) for o in graph.outputs)
        self.base_axis = base_axis
        self.ends = ends
        self.bins = {output: bins[output] for target in targets for output in target.with_blocks}
        self.assignment = composite.resolve(graph)
        self.graph = self.assignment.applied(graph)
        self.select = composite.select
        if self.select is not None and pruning.redistribute != "lambda":
            raise CompositeError(
                f"neurons selected by rule '{self.select.name}' take the mass of their sign: select goes with"
                " redistribute lambda, not m"
            )
        self.centre = None
        if centre is not None and base_axis is not None:
            like = torch.empty(resolve(graph.input_shape, 1), dtype=graph.dtype, device=graph.device)
            self.centre = Centre(centre, base_axis, like)
        self.program = self._prepare(self.graph, pruning, input_non_negative)
        self._tails: dict[tuple[Program, Target], Tail] = {}
        self._cropped: dict[tuple[Target, ...], Program] = {}
        self._programs: dict[tuple[Target, ...], Program] = {}
        self._kept: dict[tuple[Program, tuple[Target, ...], int], Keeping] = {}

    def aimed_at(self, targets: Sequence[Target]) -> "Explainer":
        """Give an explainer of other targets, which shares with this one all that doesn't depend on them.

        Parameters
        ----------
        targets : sequence of Target
            Of outputs that this explainer explains, without blocks.

        Raises
        ------
        ValueError
            If one reads another output, or blocks.
        """
        known = {term.output for target in self.targets for term in target.every_term}
        if any(target.with_blocks for target in targets):
            raise ValueError("a target reads blocks, whose place isn't known")
        if not known.issuperset(term.output for target in targets for term in target.every_term):
            raise ValueError("a target reads an output that isn't explained")
        other = copy.copy(self)
        other.targets, other.bins = tuple(targets), {}
        return other

    def forget(self) -> None:
        """Let go of what is kept of targets: their parts of the program, and their ends."""
        self._tails.clear()
        self._cropped.clear()
        self._programs.clear()
        self._kept.clear()

    @property
    def rules(self) -> dict[str, Rule]:
        """The rule of each layer, by node name."""
        return dict(self.assignment.rules)

    def _prepare(self, graph: CanonicalGraph, pruning: Pruning, input_non_negative: bool) -> Program:
        """Prepare a program for the whole graph."""
        non_negative = non_negative_tensors(graph, input_non_negative)
        graph, layer_names = fuse_relu(graph)
        graph = for_processor(write_skews(unroll_pointwise(graph)))
        layers, selecting = {}, {}
        for node in graph.nodes:
            if isinstance(node.operation, Layer):
                rule = self.assignment.rules[layer_names[node.name]]
                signs = node.inputs[0] in non_negative
                layers[node.name] = PreparedLayer.prepare(node.operation, rule, signs)
                if self.select is not None and node.operation.kind == "convolution" and not rule.input_only:
                    selecting[node.name] = PreparedLayer.prepare(node.operation, self.select, signs)
        plan = plan_pruning(graph)
        per_tensor = {
            tensor: self.assignment.pruning_of([layer_names[r] for r in readers], pruning)
            for tensor, readers in plan.tensors.items()
        }
        active = {tensor: p for tensor, p in per_tensor.items() if not p.is_identity}
        neurons = {node.name: numbers(node.shape) for node in graph.nodes}
        program = Program(graph, layers, plan, active, neurons)
        if selecting and active:
            other = Program(graph, {**layers, **selecting}, plan, active, neurons)
            return dataclasses.replace(program, selecting=other)
        if self.select is not None and not selecting:
            logger.warning(
                "nothing is selected by rule '%s': no convolution has a rule that it could replace",
                self.select.name,
            )
        return program

    def _program_for(self, targets: tuple[Target, ...]) -> Program:
        """Give what is run: the receptive field of the targets, with large attention in blocks."""
        if targets not in self._programs:
            program = self._cropped_for(targets)
            self._programs[targets] = program.in_blocks(self._held(program, targets))
        return self._programs[targets]

    def _cropped_for(self, targets: tuple[Target, ...]) -> Program:
        """Crop the program to the receptive field of the targets."""
        if targets not in self._cropped:
            spans = spans_of(targets, self.graph.outputs, self.names)
            self._cropped[targets] = self.program.cropped(spans)
        return self._cropped[targets]

    def check_cropping(self, x: Tensor, *, mirrored: bool = False) -> None:
        """Compare the cropped program with the whole graph; where they differ, warn and take the whole one.

        Parameters
        ----------
        x : Tensor, shape (N, ...)
            One window is enough.
        mirrored : bool
            As for `explain`.
        """
        targets = self._oriented(mirrored)
        cropped = self._cropped_for(targets)
        if cropped is self.program:
            return
        spans = spans_of(targets, self.graph.outputs, self.names)
        with torch.inference_mode():
            error = cropping_error(self.program.graph, cropped.graph, spans, x)
        if error > _CROPPING_TOLERANCE[x.dtype]:
            logger.warning(
                "cropped to what '%s' reads the network gives another output (by %.2g of the largest), a"
                " fault of sparselrp to report; the whole network is explained instead: right, but slower",
                targets[0].name, error,
            )  # fmt: skip
            self._cropped[targets] = self.program
            self._programs.pop(targets, None)

    def _oriented(self, mirrored: bool) -> tuple[Target, ...]:
        """Give the targets, for windows that are reverse complements counted from the other end."""
        if not mirrored:
            return self.targets
        return tuple(t.mirrored(self.graph.outputs, self.names) for t in self.targets)

    def _tail(self, program: Program, target: Target) -> Tail:
        """Find the ends that a target reads in a program."""
        if (program, target) not in self._tails:
            self._tails[program, target] = find_tail(program.graph, target, self.names, self.ends)
        return self._tails[program, target]

    def keeping(self, n: int, *, mirrored: bool = False) -> Keeping:
        """Say what is kept of batches of `n` windows, and what is computed again."""
        targets = self._oriented(mirrored)
        program = self._program_for(targets)
        key = program, targets, n
        if key not in self._kept:
            free = partial(memory_for_values, self.graph.device)
            budget = free if self.memory is None else self.memory
            self._kept[key] = plan_keeping(program, n, self._held(program, targets), budget)
        return self._kept[key]

    def _held(self, program: Program, targets: Sequence[Target]) -> frozenset[str]:
        """Name the tensors that are read before the walk: outputs, and what goes into their ends."""
        tails = (self._tail(program, target) for target in targets)
        ends = {name for tail in tails for node in tail.nodes for name in (node.name, *node.inputs)}
        held = ends | {output.node for output in program.graph.outputs}
        return frozenset(held & program.graph.by_name().keys())

    @property
    def notes(self) -> tuple[str, ...]:
        """A sentence for each output that has an end, on how it is explained, and on where its bins lie."""
        placed = (
            f"output '{self.names[i].name}': {bins.describe()}, of which those under blocks are read"
            for i, bins in self.bins.items()
        )
        return (*notes(self.graph, self.targets, self.names, self.ends), *placed)

    def touched(self, marked: Tensor | None) -> Touched:
        """Say which positions of outputs lie under blocks.

        Parameters
        ----------
        marked : Tensor of bool, shape (N, L), or None
            The bases of each window that lie in a block, as the model reads it.

        Raises
        ------
        ValueError
            If a target reads blocks and none are given.
        """
        if self.bins and marked is None:
            raise ValueError("a target reads blocks, and no bases are marked")
        return NOTHING if marked is None else {i: bins.touched(marked) for i, bins in self.bins.items()}

    def explain(
        self,
        x: Tensor,
        *,
        mirrored: bool = False,
        marked: Tensor | None = None,
        rows: Mapping[str, Tensor] = NO_ROWS,
    ) -> list[Explanation]:
        """Explain a batch.

        Parameters
        ----------
        x : Tensor, shape (N, ...)
            As the model takes it, on the graph's device and of its dtype.
        mirrored : bool
            Whether `x` holds reverse complements: positions of targets are then counted from the other end.
        marked : Tensor of bool, shape (N, L), optional
            For targets that read blocks: the bases of `x` that lie in one.
        rows : mapping of str to Tensor (N, ...)
            Inputs beside the sequence, by name, as the model takes them.

        Returns
        -------
        list of Explanation
            One for each target.
        """
        targets = self._oriented(mirrored)
        use_threads()
        program, touched = self._program_for(targets), self.touched(marked)
        with torch.inference_mode():
            given = with_rows(program.graph, rows) if rows else NO_ROWS
            keeping = self.keeping(len(x), mirrored=mirrored)
            pace = None if self.say is None else Pace(program.graph, keeping, len(targets), self.say)
            forward = ForwardPass.run(program, x, keeping, given, once=len(targets) == 1, pace=pace)
            return [self._explain_target(forward, target, touched) for target in targets]

    def _explain_target(self, forward: ForwardPass, target: Target, touched: Touched) -> Explanation:
        graph, tail = forward.program.graph, self._tail(forward.program, target)
        values = tail.outputs(forward.values)
        weights = target.seeds(graph.outputs, self.names, values, touched)
        beyond = target.beyond(graph.outputs, self.names, values, touched)
        prediction = _weighted(forward, weights) + beyond
        seeds = tail.pull(weights, forward.at)
        score = _weighted(forward, seeds)
        x, samples = forward.values[graph.input], forward.samples[graph.input]
        hypothetical, offset, ledger = walk(forward, seeds)
        background = torch.zeros_like(score)
        if self.centre is not None:
            hypothetical, background = self.centre.apply(hypothetical, x, samples)
        if offset is not None and self.base_axis is not None:
            hypothetical, outside = onto_bases(hypothetical, offset, x, self.base_axis)
            ledger.to_bias += sums(outside, samples)
        contributions = x * hypothetical
        if offset is not None and self.base_axis is None:
            contributions = contributions + offset
        return Explanation(
            hypothetical=hypothetical,
            contributions=contributions,
            score=score,
            relevance=sums(contributions, samples),
            background=background,
            absorbed=ledger.absorbed,
            lost=ledger.lost,
            prediction=prediction,
            ledger=ledger,
        )


def _weighted(forward: ForwardPass, weights: Mapping[str, Tensor]) -> Tensor:
    """Sum what tensors hold, each number times its weight, in float64: shape (N,)."""
    return torch.stack(
        [
            sums(forward.values[name].double() * v.double(), forward.samples[name])
            for name, v in weights.items()
        ]
    ).sum(0)
