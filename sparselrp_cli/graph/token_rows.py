"""Which token of a sequence each row of a tensor of ids is, as a model hands them to its embeddings."""

import dataclasses
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from sparselrp_cli.graph.canonical import CanonicalGraph, Node
from sparselrp_cli.graph.operations.tokens import Tokens
from sparselrp_cli.model.token_models import sequences_of, tokens_of

_DRAWN, _WINDOWS = 48, 8


@dataclass(frozen=True, slots=True)
class TokenRows:
    """What ids are that a model looks up.

    Attributes
    ----------
    scheme : str
        How sequences become tokens; see `model.tokens`.
    slots : Tensor of int, shape (rows,), or None
        Which token each row is; -1 for none. None where the ids don't go by what the tokens are, as those
        of positions.
    sequences : fx.Node
    """

    scheme: str
    slots: Tensor | None
    sequences: fx.Node


def tokens_behind(graph: CanonicalGraph) -> tuple[Node, CanonicalGraph] | None:
    """Find the only tokens that ids are made of, and what leads from these to the ids.

    Parameters
    ----------
    graph : CanonicalGraph
        From sequences to the ids, its only output.
    """
    found = [node for node in graph.nodes if isinstance(node.operation, Tokens)]
    others = [node for node in graph.nodes if node not in found]
    if len(found) != 1 or any(graph.input in node.inputs for node in others):
        return None
    (made,) = found
    return made, dataclasses.replace(graph, input=made.name, input_shape=made.shape, nodes=tuple(others))


def find_slots(made: Node, graph: CanonicalGraph, example: Tensor) -> Tensor | None:
    """Find which token each row of ids is, by drawing tokens.

    Parameters
    ----------
    made : Node
        The tokens.
    graph : CanonicalGraph
        From there to the ids.
    example : Tensor
        Windows.

    Returns
    -------
    Tensor of int, shape (rows,), or None
        None where no row goes by what a token is.

    Raises
    ------
    ValueError
        If a row is made of several tokens, or of a token and something else.
    """
    drawn = _drawn(made, example)
    (output,) = graph.outputs
    rows = graph.evaluate(drawn)[output.node]
    if rows.dim() != 2:
        raise ValueError("the ids aren't (N, tokens)")
    if bool((rows == rows[:1]).all()):
        return None
    places = {bytes(column.numpy()): slot for slot, column in enumerate(drawn.t().contiguous())}
    slots = []
    for column in rows.t().contiguous():
        constant = bool((column == column[0]).all())
        slots.append(-1 if constant else places.get(bytes(column.numpy()), -2))
    if -2 in slots:
        raise ValueError("ids that are made of tokens otherwise than by moving them")
    return torch.tensor(slots)


def _drawn(made: Node, example: Tensor) -> Tensor:
    """Draw ids of tokens that cover bases, for every slot."""
    assert isinstance(made.operation, Tokens)
    known = {
        token.number
        for sequence in sequences_of(example[:_WINDOWS])
        for token in tokens_of(sequence, made.operation.scheme, made.operation.count)
        if token.end > token.start
    }
    pool = torch.tensor(sorted(known))
    generator = torch.Generator().manual_seed(0)
    return pool[torch.randint(len(pool), (_DRAWN, made.operation.count), generator=generator)]
