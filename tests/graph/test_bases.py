"""Tokens: ids that one base each decides are looked up, and their relevance arrives at the bases."""

import pytest
import torch
from oracles.operations import Called
from torch import Tensor
from torch.nn import functional

from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

LENGTH = 10
numbers = torch.Generator().manual_seed(2)
TABLE = torch.randn(9, 5, generator=numbers, dtype=torch.float64)
MIX = torch.randn(5, LENGTH + 2, generator=numbers, dtype=torch.float64)
PLACES = torch.randn(LENGTH, 5, generator=numbers, dtype=torch.float64)
CODE = torch.tensor([6, 2, 3, 7])
CLASS, END = 0, 1


def ids(x: Tensor) -> Tensor:
    return x.argmax(1) + 4


def special(x: Tensor, token: int) -> Tensor:
    return torch.full_like(ids(x)[:, :1], token)


def embedded(tokens: Tensor) -> Tensor:
    return functional.embedding(tokens, TABLE)


def one_hot(tokens: Tensor) -> Tensor:
    return functional.one_hot(tokens, 9).to(TABLE.dtype) @ TABLE


# By name: the vectors of the tokens, and what each token is: a position of the sequence, or a special token.
AT = list(range(LENGTH))
TOKENS = {
    "in front": (lambda x: embedded(torch.cat([special(x, CLASS), ids(x)], 1)), [(CLASS,), *AT], 4),
    "behind": (lambda x: embedded(torch.cat([ids(x), special(x, END)], 1)), [*AT, (END,)], 4),
    "both": (
        lambda x: embedded(torch.cat([special(x, CLASS), ids(x), special(x, END)], 1)),
        [(CLASS,), *AT, (END,)], 4,
    ),
    "padded": (lambda x: embedded(functional.pad(ids(x), (1, 1), value=3)), [(3,), *AT, (3,)], 4),
    "between": (
        lambda x: embedded(torch.cat([ids(x)[:, :4], special(x, END), ids(x)[:, 4:]], 1)),
        [*AT[:4], (END,), *AT[4:]], 4,
    ),
    "backwards": (lambda x: embedded(ids(x).flip(1)), AT[::-1], 4),
    "counted": (lambda x: embedded((x * torch.arange(4).view(1, 4, 1)).sum(1).long()), AT, 0),
    "by a table": (lambda x: embedded(CODE[x.argmax(1)]), AT, CODE),
    "one-hot again": (lambda x: one_hot(ids(x)), AT, 4),
    "one-hot again, a class token in front": (
        lambda x: one_hot(torch.cat([special(x, CLASS), ids(x)], 1)), [(CLASS,), *AT], 4
    ),
    "two kinds of bases": (lambda x: embedded(x.argmax(1) % 2), AT, torch.tensor([0, 1, 0, 1])),
    "positions first": (lambda x: embedded(x.transpose(1, 2).argmax(-1) + 4), AT, 4),
    "a part": (lambda x: embedded(ids(x)[:, 2:7]), AT[2:7], 4),
}  # fmt: skip


def sequences() -> Tensor:
    bases = torch.randint(4, (3, LENGTH), generator=torch.Generator().manual_seed(1))
    return functional.one_hot(bases, 4).transpose(1, 2).double()


def score(vectors: Tensor) -> Tensor:
    return (vectors * MIX[:, : vectors.shape[1]].t()).sum((1, 2)).unsqueeze(1)


@pytest.mark.parametrize(("vectors", "origin", "offset"), TOKENS.values(), ids=TOKENS)
def test_the_relevance_of_each_token_is_at_its_base_and_that_of_special_tokens_is_absorbed(
    vectors, origin, offset
):
    net, x = Called(lambda x: score(vectors(x))), sequences()
    graph = capture(net, x)
    assert max(check_against_module(graph, net, x).values()) < 1e-12
    token = offset if isinstance(offset, Tensor) else torch.arange(4) + offset
    expected, absorbed = torch.zeros(3, 4, LENGTH, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
    for row, place in enumerate(origin):
        if isinstance(place, tuple):
            absorbed += TABLE[place[0]] @ MIX[:, row]
        else:
            expected[:, :, place] += TABLE[token] @ MIX[:, row]
    target = Target("score", (Term(0, 0, None),))
    (found,) = Explainer(graph, [target], composite=PRESETS["zero"], pruning=NONE).explain(x)
    torch.testing.assert_close(found.hypothetical, expected, rtol=1e-9, atol=1e-12)
    torch.testing.assert_close(found.absorbed, absorbed, rtol=1e-9, atol=1e-12)


def test_a_token_that_several_bases_decide_is_refused():
    net = Called(lambda x: score(embedded(x.argmax(1)[:, 1:] + x.argmax(1)[:, :-1])))
    (step,) = capture(net, sequences()).unsupported()
    assert step.operation.describe() == (
        "embedding: only embeddings of tokens that one base each decides have a rule, such as"
        " x.argmax(axis) + 4 for one-hot x, with special tokens before or behind; where several do, as of"
        " k-mers, let forward take the tokens' ids and name them with --tokens"
    )


def test_tokens_of_what_a_layer_computes_are_refused():
    def quantised(x: Tensor) -> Tensor:
        return score(embedded(torch.nn.functional.conv1d(x, TABLE[:, :4, None]).argmax(1)))

    assert len(capture(Called(quantised), sequences()).unsupported()) == 1


def test_the_share_of_a_base_is_linear_in_the_sequence():
    net, x = Called(lambda x: (x.argmax(1) == 2).double().mean(1, keepdim=True)), sequences()
    graph = capture(net, x)
    (found,) = Explainer(graph, [Target("share", (Term(0, 0, None),))], pruning=NONE).explain(x)
    torch.testing.assert_close(found.contributions.sum((1, 2)), x[:, 2].mean(1))
    assert torch.equal(found.contributions != 0, x * torch.eye(4)[2][:, None] != 0)


def test_a_mask_of_known_bases_stays_a_mask():
    net = Called(lambda x: (x * (x.sum(1, keepdim=True) > 0).to(x.dtype)).sum(2))
    graph, x = capture(net, sequences()), sequences()
    x[:, :, 3] = 0
    assert max(check_against_module(graph, net, x).values()) < 1e-12
    assert "decision" in [node.operation.kind for node in graph.nodes]
