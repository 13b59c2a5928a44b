"""PLRP-M: layers give the relevance of pruned neurons to their own kept inputs.

Source: Yanez Sarmiento et al., ECML PKDD 2024 (PLRP). The layers that read a pruned tensor take their turn
twice. First each gives its relevance as if nothing were pruned, which completes the relevance of the tensor,
and tells what to keep. Then each gives it again, with the pruned neurons masked out of its denominators.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.forward import ForwardPass, accumulate
from sparselrp_cli.relevance.ledger import Ledger
from sparselrp_cli.relevance.plan import Reading, carry_mask
from sparselrp_cli.relevance.pruning import scale_to_mass
from sparselrp_cli.relevance.rules import Branch
from sparselrp_cli.relevance.step import Denominators, Output, PreparedLayer

TAU = 1e-2
"""A masked denominator smaller than this share of its terms' magnitudes counts as cancelled."""


class MaskedLayers:
    """The layers of one walk that read tensors pruned by PLRP-M."""

    def __init__(self, forward: ForwardPass, ledger: Ledger) -> None:
        self.forward = forward
        self.program = forward.program
        self.ledger = ledger
        # By pruned tensor: what layers gave it the first time, and the multipliers they gave it from.
        self._given: dict[str, Tensor] = {}
        self._waiting: dict[str, list[tuple[Reading, Tensor]]] = {}

    def reads(self, tensor: str) -> bool:
        """Whether a layer waits to give its relevance to this tensor again."""
        return tensor in self._waiting

    def defer(self, node: Node, c: Tensor) -> None:
        """Let a layer give its relevance for the first time, and wait."""
        reading = self.program.masked_readings[node.name]
        first = self._along(reading, self.forward.step(node, c).multiplier, book=False)
        accumulate(self._given, reading.tensor, first)
        self._waiting.setdefault(reading.tensor, []).append((reading, c))

    def prune(self, name: str, others: Tensor | None) -> Tensor:
        """Prune a tensor, and let the layers that wait share among its kept neurons.

        Parameters
        ----------
        name : str
        others : Tensor or None
            The multiplier that came another way; it is masked, and scaled to its mass [ours].
        """
        waiting, first = self._waiting.pop(name), self._given.pop(name)
        order = self.forward.order(name)
        a = order.rows(self.forward.values[name])
        pruned = self.program.pruning[name].mask(a, order.rows(first if others is None else first + others))
        mask = order.shaped(pruned.multiplier)
        del first
        totals: dict[str, Tensor] = {}
        steps = []
        for reading, c in waiting:
            step = self._again(reading, c, mask)
            accumulate(totals, name, self._along(reading, step.multiplier, book=True))
            steps.append((step.fallback_columns, step.fallback_mass))
        for reading, _ in waiting:
            for node in (reading.layer, *reading.path):
                self.forward.let_go(node.name)
        if others is not None:
            scaled, lost = scale_to_mass(a, order.rows(others), pruned.multiplier)
            self.ledger.lost += lost
            accumulate(totals, name, order.shaped(scaled))
        columns, mass = (torch.stack(parts).sum(0) for parts in zip(*steps, strict=True))
        self.ledger.record(name, self.program.neurons[name], pruned, columns, mass)
        return totals[name]

    def _again(self, reading: Reading, c: Tensor, mask: Tensor) -> "MaskedStep":
        """Let a layer give its relevance to what is kept."""
        node, values = reading.layer, self.forward.values
        step = propagate_masked(
            self.program.layers[node.name], node.name, values[node.inputs[0]], values[node.name], c,
            carry_mask(reading.path, mask), self.forward.samples[node.name], self.forward.denominators,
        )  # fmt: skip
        self.ledger.book(step.to_bias, step.to_stabiliser)
        self.forward.denominators.forget(node.name)
        return step

    def _along(self, reading: Reading, c: Tensor, *, book: bool) -> Tensor:
        """Carry a multiplier from a layer's input back to the tensor it reads."""
        for node in reversed(reading.path):
            at = self.forward.at(node)
            if book:
                self.ledger.absorb(node.operation.absorbed(c, at), self.forward.samples[node.name])
            (pulled,) = node.operation.pull(c, at)
            if pulled is None:
                raise ValueError(f"'{node.name}' moves neurons and must carry relevance")
            c = pulled
        return c


@dataclass(frozen=True, slots=True, eq=False)
class MaskedStep:
    """The multiplier at a layer's input, 0 for what was pruned; and per sample, in float64, the rest.

    Attributes
    ----------
    multiplier : Tensor
    to_bias, to_stabiliser : Tensor
        What biases and stabilisers took.
    fallback_columns, fallback_mass : Tensor
        Output neurons that fell back to their unmasked column, and their relevance in magnitude.
    """

    multiplier: Tensor
    to_bias: Tensor
    to_stabiliser: Tensor
    fallback_columns: Tensor
    fallback_mass: Tensor


def propagate_masked(
    prepared: PreparedLayer, name: str, a: Tensor, z: Tensor, c: Tensor, keep: Tensor, samples: Samples,
    cache: Denominators, tau: float = TAU,
) -> MaskedStep:  # fmt: skip
    """Carry `c` to the input once more with the pruned neurons masked out (PLRP-M).

    Every output neuron gives its relevance to its own kept inputs; the bias is left out. [ours] An output
    neuron all of whose inputs were pruned, whose masked denominator is below `tau` times the sum of its
    terms' magnitudes, or of another sign than the unmasked one, falls back to its unmasked column, bias
    included.

    Parameters
    ----------
    keep : Tensor, shaped as `a`
        1 where the input neuron is kept, else 0.
    """
    output = Output.of(prepared, z, c, samples)
    multiplier: Tensor | None = None
    to_bias = torch.zeros(samples.n, dtype=torch.float64, device=z.device)
    to_stabiliser, columns, mass = to_bias.clone(), to_bias.clone(), to_bias.clone()
    for i, branch in enumerate(output.prepared.branches):
        inner, least = _masked_denominators(output.prepared, branch, a * keep, tau)
        if not branch.positive:
            # What is kept and points the other way than the whole would give relevance of the wrong sign.
            inner.masked_fill_(inner * cache.of(name, i, output, a) < 0, 0)
        shared = output.share_masked(branch, inner, least)
        part = output.prepared.carry(branch, shared.values, a).mul_(keep)
        multiplier = part if multiplier is None else multiplier.add_(part)
        to_stabiliser += shared.to_stabiliser
        columns += shared.columns
        mass += shared.mass
        if _none_fell(shared.columns):
            continue
        fallen = replace(output, c=shared.fallen)
        if output.firsts is None:
            fallen = Output.of(prepared, z, shared.fallen, samples)
        del shared, part
        again = fallen.share(branch, cache.of(name, i, fallen, a))
        multiplier.add_(fallen.prepared.carry(branch, again.values, a))
        to_bias += again.to_bias
        to_stabiliser += again.to_stabiliser
    if multiplier is None:
        raise ValueError("a rule without branches")
    return MaskedStep(multiplier, to_bias, to_stabiliser, columns, mass)


def _none_fell(columns: Tensor) -> bool:
    """Whether no output neuron fell back, where looking costs nothing: a GPU would have to be waited for."""
    return columns.device.type == "cpu" and not bool(columns.any())


def _masked_denominators(
    prepared: PreparedLayer, branch: Branch, masked: Tensor, tau: float
) -> tuple[Tensor, Tensor | None]:
    """Compute denominators without the bias, and the magnitude below which they count as cancelled."""
    inner = prepared.weigh(branch, masked, None)
    return inner, None if branch.positive else prepared.magnitude(branch, masked).mul_(tau)
