# ruff: noqa: N803 -- R is the symbol of the papers for the relevance of what lies above
"""Tokens and the table they are looked up in: relevance of a token in equal parts at its bases."""

import itertools

import numpy as np
import pytest
import torch
from oracles.operations import SEEDS, Array, Called, Case, check_relevance, tensor
from torch.nn import functional

from sparselrp_cli.errors import ModelError
from sparselrp_cli.graph.capture import capture, check_against_module
from sparselrp_cli.graph.operation import At
from sparselrp_cli.graph.operations.tokens import Embedding, Tokens
from sparselrp_cli.graph.token_notes import token_example, token_notes
from sparselrp_cli.model.token_models import TokenModel, tokens_of
from sparselrp_cli.model.tokens import Kmers

LENGTH, FEATURES = 11, 3
PAD, UNKNOWN, CLASS, END, FIRST = 0, 1, 2, 3, 4
SPECIAL = {PAD: "[PAD]", UNKNOWN: "[UNK]", CLASS: "[CLS]", END: "[SEP]"}


def table(*lengths: int) -> dict[str, int]:
    pieces = ["".join(letters) for k in lengths for letters in itertools.product("ACGT", repeat=k)]
    return {piece: number for number, piece in enumerate(pieces, FIRST)}


def kmers(k: int, step: int, *lengths: int) -> str:
    return Kmers(table(*lengths), k, step, [CLASS], [END], UNKNOWN, PAD, SPECIAL).to_scheme()


SCHEMES = {
    "bases": (kmers(1, 1, 1), LENGTH + 2),
    "overlapping 3-mers": (kmers(3, 1, 3), LENGTH),
    "3-mers one after the other": (kmers(3, 3, 1, 3), 10),  # three of padding where there is no N
}


def one_hot(rng: np.random.Generator, samples: int = 2, length: int = LENGTH) -> Array:
    return np.eye(4)[rng.integers(4, size=(samples, length))].transpose(0, 2, 1).copy()


def with_unknown(x: Array) -> Array:
    x[:, :, 4:6] = 0
    return x


def letters(x: Array) -> list[str]:
    return ["".join("ACGT"[b.argmax()] if b.any() else "N" for b in row.T) for row in x]


def ids(x: Array, scheme: str, count: int) -> Array:
    return np.array([[token.number for token in tokens_of(s, scheme, count)] for s in letters(x)])


def to_bases(scheme: str, count: int, slots: list[int]):
    """Each row's relevance to the known bases of its token, one by one."""

    def oracle(R: Array, x: Array, _: Array) -> list[Array]:
        r = np.zeros(x.shape)
        for n, sequence in enumerate(letters(x)):
            tokens = tokens_of(sequence, scheme, count)
            for row, slot in enumerate(slots):
                covered = range(0) if slot < 0 else range(tokens[slot].start, tokens[slot].end)
                known = [i for i in covered if sequence[i] != "N"]
                for i in known:
                    r[n, "ACGT".index(sequence[i]), i] += R[n, row].sum() / len(known)
        return [r, np.zeros(_.shape)]

    return oracle


def draw_embedding(scheme: str, count: int, slots: list[int], *, unknown: bool):
    def draw(rng: np.random.Generator) -> Case:
        x = with_unknown(one_hot(rng)) if unknown else one_hot(rng)
        weight = rng.normal(size=(FIRST + 84, FEATURES))
        found = ids(x, scheme, count)
        read = np.stack([found[:, s] if s >= 0 else np.full(len(x), CLASS) for s in slots], 1)
        operation = Embedding(tensor(weight), scheme, torch.tensor(slots))
        return Case(operation, [x, read], lambda _, ids: weight[ids], to_bases(scheme, count, slots))

    return draw


def draw_tokens(scheme: str, count: int):
    def draw(rng: np.random.Generator) -> Case:
        x = one_hot(rng)
        return Case(
            Tokens(scheme, count), [x], lambda x: ids(x, scheme, count), lambda R, x: [np.zeros(x.shape)]
        )

    return draw


CASES = {
    **{f"tokens, {name}": draw_tokens(*given) for name, given in SCHEMES.items()},
    **{
        f"embedding, {name}{', N' if unknown else ''}": draw_embedding(*given, slots, unknown=unknown)
        for name, given in SCHEMES.items()
        for unknown in (False, True)
        for slots in [list(range(given[1]))]
    },
    "embedding, moved": draw_embedding(*SCHEMES["bases"], [-1, 5, 4, 4, 12, 1], unknown=False),
}


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("draw", CASES.values(), ids=CASES)
def test_relevance_is_shared_by_the_formula_and_conserved(draw, seed):
    check_relevance(draw, seed)


@pytest.mark.parametrize(("scheme", "count"), SCHEMES.values(), ids=SCHEMES)
def test_a_change_of_a_base_counts_as_the_changed_tokens_do(scheme, count):
    """At first order: what the multiplier at the tokens' vectors makes of the new vectors."""
    rng = np.random.default_rng(3)
    x, weight, c = (
        one_hot(rng, 1),
        rng.normal(size=(FIRST + 84, FEATURES)),
        rng.normal(size=(count, FEATURES)),
    )
    operation = Embedding(tensor(weight), scheme, torch.arange(count))
    before = ids(x, scheme, count)
    at = At((tensor(x), tensor(before)), operation.forward(tensor(x), tensor(before))[0])
    (multiplier, _) = operation.pull(tensor(c[None]), at)
    found = multiplier[0].numpy()
    for base, place in itertools.product(range(4), range(LENGTH)):
        changed = x.copy()
        changed[0, :, place] = np.eye(4)[base]
        effect = (c * (weight[ids(changed, scheme, count)[0]] - weight[before[0]])).sum()
        observed = x[0, :, place].argmax()
        np.testing.assert_allclose(found[base, place] - found[observed, place], effect, atol=1e-12)


class Looked(torch.nn.Module):
    """Ids, moved, looked up and added up."""

    def __init__(self, move) -> None:
        super().__init__()
        self.move = move
        numbers = torch.Generator().manual_seed(4)
        self.table = torch.nn.Parameter(torch.randn(99, 3, generator=numbers, dtype=torch.float64))

    def forward(self, ids):
        return functional.embedding(self.move(ids), self.table).sum(1)


def of_class(ids):
    return torch.full_like(ids[:, :1], CLASS)


# By name: what a model does with the ids, the kinds of operation, and which token each row then is.
MOVED = {
    "as they are": (lambda ids: ids, [*range(13)]),
    "a class token more": (lambda ids: torch.cat([of_class(ids), ids], 1), [-1, *range(13)]),
    "backwards": (lambda ids: ids.flip(1), [*range(13)][::-1]),
    "without the ends": (lambda ids: ids[:, 1:-1], [*range(1, 12)]),
    "padded": (lambda ids: functional.pad(ids, (0, 2), value=PAD), [*range(13), -1, -1]),
    "masked": (lambda ids: torch.where(ids == PAD, UNKNOWN, ids), [*range(13)]),
}


@pytest.mark.parametrize(("move", "slots"), MOVED.values(), ids=MOVED)
def test_it_is_found_which_token_each_row_of_a_models_ids_is(move, slots):
    net = TokenModel(Looked(move), *SCHEMES["bases"])
    x = tensor(one_hot(np.random.default_rng(0)))
    graph = capture(net, x)
    (embedding,) = (n.operation for n in graph.nodes if isinstance(n.operation, Embedding))
    assert embedding.slots.tolist() == slots
    assert max(check_against_module(graph, net, x).values()) < 1e-12


def test_positions_that_a_model_counts_are_looked_up_and_absorb():
    net = TokenModel(Looked(lambda ids: (ids != PAD).cumsum(1)), *SCHEMES["bases"])
    graph = capture(net, tensor(one_hot(np.random.default_rng(0))))
    (node,) = (n for n in graph.nodes if n.name == "embedding")
    assert (node.operation.kind, node.operation.describe()) == ("decision", "embedding of positions")


def test_ids_that_are_made_of_several_tokens_are_refused():
    net = TokenModel(Looked(lambda ids: (ids + ids.flip(1)) % 99), *SCHEMES["bases"])
    graph = capture(net, tensor(one_hot(np.random.default_rng(0))))
    (node,) = graph.unsupported()
    assert node.operation.describe() == (
        "embedding: ids that are made of tokens otherwise than by moving them"
    )


def test_an_n_is_the_token_that_the_table_has_for_it_as_for_the_model():
    scheme = Kmers({**table(1), "N": 9}, 1, 1, [CLASS], [END], UNKNOWN, PAD, SPECIAL).to_scheme()
    net = TokenModel(Looked(lambda ids: ids), scheme, LENGTH + 2)
    x = tensor(with_unknown(one_hot(np.random.default_rng(0))))
    graph = capture(net, tensor(one_hot(np.random.default_rng(1))))
    assert graph.evaluate(x)["tokens"][0].tolist() == ids(x.numpy(), scheme, LENGTH + 2)[0].tolist()
    assert graph.evaluate(x)["tokens"][0, 5] == 9
    assert max(check_against_module(graph, net, x).values()) < 1e-12


def test_a_window_of_too_many_tokens_is_refused_with_what_to_write():
    scheme, count = SCHEMES["3-mers one after the other"]
    with pytest.raises(ModelError) as caught:
        tokens_of("ACGNACGNACG", scheme, 6)
    assert str(caught.value) == (
        "a window has 7 tokens, more than the 6 that the model is given; make room with --tokens"
        " ...,tokens=7 or more"
    )
    assert len(tokens_of("ACGNACGNACG", scheme, count)) == count


def test_a_user_is_told_how_a_window_becomes_tokens():
    net = TokenModel(Looked(lambda ids: ids), *SCHEMES["overlapping 3-mers"])
    x = tensor(np.eye(4)[[[0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2]]].transpose(0, 2, 1).copy())
    graph = capture(net, x)
    assert token_notes(graph)[0] == (
        "a window is read as 11 tokens, special ones included: overlapping 3-mers, one every 1 bp"
    )
    assert token_example(graph, x) == "ACGTACGTACG becomes [CLS] ACG CGT GTA TAC ACG ... [SEP]"
    plain = capture(Called(lambda x: x.sum(2)), x)
    assert (token_notes(plain), token_example(plain, x)) == ((), "")
