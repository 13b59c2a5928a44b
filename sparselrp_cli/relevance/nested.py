"""The walk through what is computed block by block: each block is computed again, and walked, on its own."""

from collections.abc import Callable
from types import MappingProxyType

import torch
from torch import Tensor

from sparselrp_cli.graph.beside import NO_ROWS
from sparselrp_cli.graph.canonical import Node
from sparselrp_cli.graph.in_blocks import Block, InBlocks, part_of
from sparselrp_cli.graph.layer import Layer
from sparselrp_cli.graph.operation import Pulled
from sparselrp_cli.relevance.forward import ForwardPass, accumulate
from sparselrp_cli.relevance.keeping import keep_all
from sparselrp_cli.relevance.plan import PruningPlan
from sparselrp_cli.relevance.program import Program
from sparselrp_cli.relevance.step import Denominators

Pull = Callable[[ForwardPass, Node, Tensor], Pulled]
"""Carries a multiplier through one node of a pass, and books what doesn't get to its inputs."""


def pull_in_blocks(forward: ForwardPass, node: Node, part: InBlocks, c: Tensor, pull: Pull) -> Pulled:
    """Carry the multiplier `c` of what is computed in blocks to what it reads.

    Parameters
    ----------
    forward : ForwardPass
    node : Node
        In its program.
    part : InBlocks
        The node's operation.
    pull : callable
    """
    inputs = [forward.values[name] for name in node.inputs]
    totals = [torch.zeros_like(values) for values in inputs]
    for block in part.blocks:
        found = _walk(_computed(forward, part, block, inputs), block, part_of(c, block.span), pull)
        for (name, _), total, span in zip(part.sources, totals, block.reads, strict=True):
            if name in found:
                part_of(total, span).add_(found[name])
    return tuple(totals)


def _computed(forward: ForwardPass, part: InBlocks, block: Block, inputs: list[Tensor]) -> ForwardPass:
    """Compute a block again, with all that its walk reads."""
    prepared = forward.program.layers
    layers = {
        node.name: prepared[node.name].of(node.operation)
        for node in block.nodes
        if isinstance(node.operation, Layer)
    }
    program = Program(block.graph, layers, PruningPlan({}, {}), MappingProxyType({}), MappingProxyType({}))
    n = forward.values[forward.program.graph.input].shape[0]
    values = dict(zip((name for name, _ in part.sources), block.parts(inputs), strict=True))
    keeping = keep_all(block.nodes)
    inner = ForwardPass(
        program, program.samples(n), values, {}, Denominators(keep=False), True, keeping, NO_ROWS, None
    )
    inner.compute(keeping.first)
    return inner


def _walk(inner: ForwardPass, block: Block, c: Tensor, pull: Pull) -> dict[str, Tensor]:
    """Give the multipliers of the sources."""
    multipliers = {block.graph.outputs[0].node: c}
    for node in reversed(block.nodes):
        own = multipliers.pop(node.name, None)
        if own is not None:
            for name, part in zip(node.inputs, pull(inner, node, own), strict=True):
                accumulate(multipliers, name, part)
        inner.let_go(node.name)
    return multipliers
