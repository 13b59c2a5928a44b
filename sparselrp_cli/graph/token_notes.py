"""What a user is told of how a sequence becomes tokens, and where their relevance goes."""

import torch
from torch import Tensor

from sparselrp_cli.errors import number_of
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.operations.tokens import Embedding, Tokens
from sparselrp_cli.model.token_models import sequences_of, tokens_of
from sparselrp_cli.model.tokens import tokeniser

_SHOWN, _OF_END = 6, 1


def token_notes(graph: CanonicalGraph) -> tuple[str, ...]:
    """Say how sequences become tokens and how relevance comes back; nothing for models of one-hot bases."""
    operations = [node.operation for node in graph.nodes]
    read = [operation for operation in operations if isinstance(operation, Tokens)]
    if not read or not any(isinstance(operation, Embedding) for operation in operations):
        return ()
    reader = tokeniser(read[0].scheme)
    padded = ", special ones and padding included" if reader.varies else ", special ones included"
    return (
        f"a window is read as {number_of(read[0].count, 'token')}{padded}: {reader.describe()}",
        "relevance of a token goes to its bases in equal parts; for a change of a base the changed token is"
        " looked up, and contributions against a base composition (--centre) follow that; special tokens,"
        " padding and N absorb theirs",
    )


def token_example(graph: CanonicalGraph, x: Tensor) -> str:
    """Write the tokens that a window begins and ends with; empty for models of one-hot bases.

    Parameters
    ----------
    x : Tensor, shape (N, 4, L)
        Of which the first is shown.
    """
    read = [node.operation for node in graph.nodes if isinstance(node.operation, Tokens)]
    if not read:
        return ""
    (sequence,) = sequences_of(x[:1].to(torch.device("cpu")))
    names = [
        tokeniser(read[0].scheme).name(token.number)
        for token in tokens_of(sequence, read[0].scheme, read[0].count)
    ]
    left = f" ... {' '.join(names[-_OF_END:])}" if len(names) > _SHOWN + _OF_END else ""
    shown = names[:_SHOWN] if left else names
    return f"{sequence[:20]}{'...' if len(sequence) > 20 else ''} becomes {' '.join(shown)}{left}"
