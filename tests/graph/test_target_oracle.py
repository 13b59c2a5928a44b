"""Targets against their meaning: what is typed is computed by hand from the model's own output."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from helpers.captures import captured_once
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import Target, TargetParser
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

N = BatchDim()
TASKS = ("liver", "T-cell", "su(Hw)", "5'UTR", "a,b")
LENGTH = 12
TRACKS = TargetParser([GraphOutput("tracks", "y", (N, 5, LENGTH))], [OutputNames("tracks", TASKS)])
MAPS = TargetParser([GraphOutput("map", "y", (N, 3, 6, 7))], [OutputNames("map")])
QUICK = settings(max_examples=150)


@dataclass(frozen=True)
class Typed:
    """A piece of a target, and its weights on one sample's output, written down without the parser."""

    text: str
    weights: np.ndarray


def signed(name: str) -> str:
    return f'"{name}"' if "'" in name else f"'{name}'"


one_task = st.integers(0, 4).flatmap(
    lambda i: st.sampled_from([str(i), signed(TASKS[i]), f"{i}:{i + 1}", str(i - 5)]).map(lambda t: (t, [i]))
)
several_tasks = st.lists(st.integers(0, 4), min_size=1, max_size=4, unique=True).map(
    lambda chosen: (",".join(map(str, chosen)), chosen)
)
run_of_tasks = st.tuples(st.integers(0, 4), st.integers(1, 5)).map(
    lambda p: (f"{p[0]}:{p[1]}", list(range(*p))) if p[0] < p[1] else ("*", list(range(5)))
)
tasks = st.one_of(one_task, several_tasks, run_of_tasks)


def stretches(length: int) -> st.SearchStrategy[tuple[str, list[int]]]:
    """Positions of one axis, as typed and as numbers."""
    place = st.integers(0, length - 1)

    def ranges(bounds: tuple[int, int]) -> st.SearchStrategy[tuple[str, list[int]]]:
        start, stop = min(bounds), max(bounds) + 1
        texts = [f"{start}:{stop}", f"{start - length}:{stop}", f" {start} : {stop} "]
        texts += [f":{stop}"] if start == 0 else []
        texts += [f"{start}:", f"{start - length}:"] if stop == length else [f"{start}:{stop - length}"]
        return st.sampled_from(texts).map(lambda text: (text, list(range(start, stop))))

    middle = length // 2
    centre = st.integers(1, length).map(
        lambda w: (f"centre:{w}", list(range(middle - w // 2, middle - w // 2 + w)))
    )
    single = place.flatmap(lambda i: st.sampled_from([str(i), str(i - length)]).map(lambda t: (t, [i])))
    return st.one_of(single, st.tuples(place, place).flatmap(ranges), centre, st.just(("centre", [middle])))


def listed(pieces: list[tuple[str, list]]) -> tuple[str, list]:
    """Join pieces that don't overlap by commas."""
    chosen: list = []
    texts = []
    for text, places in pieces:
        if not any(place in chosen for place in places):
            texts.append(text)
            chosen += places
    return ",".join(texts), chosen


positions = st.lists(stretches(LENGTH), min_size=1, max_size=3).map(listed)
pairs = st.lists(
    st.tuples(stretches(6), stretches(7)).map(
        lambda p: (f"{p[0][0]}x{p[1][0]}", [(i, j) for i in p[0][1] for j in p[1][1]])
    ),
    min_size=1,
    max_size=3,
).map(listed)


def of_tracks(chosen: list[int], places: list[int]) -> np.ndarray:
    weights = np.zeros((5, LENGTH))
    weights[np.ix_(chosen, places)] = 1 / (len(chosen) * len(places))
    return weights


@st.composite
def terms(draw, *, placed: bool) -> Typed:
    text, chosen = draw(tasks)
    places = list(range(LENGTH))
    text = draw(st.sampled_from(["", "tracks/"])) + text
    if placed:
        where, places = draw(positions)
        text = f"{text}{draw(st.sampled_from(['@', ' @ ']))}{where}"
    return weighed(draw, Typed(text, of_tracks(chosen, places)))


def weighed(draw, typed: Typed) -> Typed:
    factor = draw(st.sampled_from([None, None, "2", "0.5", "-1", "-.25", "1e-1"]))
    if factor is None:
        return typed
    return Typed(f"{factor}{draw(st.sampled_from(['*', ' * ']))}{typed.text}", float(factor) * typed.weights)


@st.composite
def sums(draw, *, placed: bool, depth: int = 0) -> Typed:
    """An expression all of whose terms have positions, or none."""
    text, weights = "", np.zeros((5, LENGTH))
    for i in range(draw(st.integers(1, 3))):
        part = draw(terms(placed=placed))
        if depth < 2 and draw(st.booleans()):
            part = draw(parentheses(placed=placed, depth=depth + 1))
        sign = "+" if i == 0 else draw(st.sampled_from(["+", "-"]))
        space = draw(st.sampled_from(["", " "]))
        text += part.text if i == 0 else f"{space}{sign}{space}{part.text}"
        weights = weights + (1 if sign == "+" else -1) * part.weights
    return Typed(text, weights)


@st.composite
def parentheses(draw, *, placed: bool, depth: int) -> Typed:
    """A parenthesis: its positions inside, or behind it."""
    if not placed or draw(st.booleans()):
        inner = draw(sums(placed=placed, depth=depth))
        return weighed(draw, Typed(f"({inner.text})", inner.weights))
    inner, (where, places) = draw(sums(placed=False, depth=depth)), draw(positions)
    spread = np.zeros((5, LENGTH))
    spread[:, places] = inner.weights.sum(1, keepdims=True) / len(places)
    return weighed(draw, Typed(f"({inner.text})@{where}", spread))


def functional_of(parser: TargetParser, target: Target) -> np.ndarray:
    """The weights of a target on one sample."""
    shape = [d for d in parser.outputs[0].shape if isinstance(d, int)]
    y = torch.zeros(1, *shape, dtype=torch.float64)
    return target.seeds(parser.outputs, parser.names, {"y": y})["y"][0].numpy()


@QUICK
@given(st.booleans().flatmap(lambda placed: sums(placed=placed)))
def test_an_expression_weighs_each_entry_as_it_says(typed):
    assume(np.abs(typed.weights).max() > 1e-9)
    target = TRACKS.parse(typed.text)
    np.testing.assert_allclose(functional_of(TRACKS, target), typed.weights, rtol=1e-12, atol=1e-14)
    mirrored = target.mirrored(TRACKS.outputs, TRACKS.names)
    np.testing.assert_allclose(
        functional_of(TRACKS, mirrored), typed.weights[:, ::-1], rtol=1e-12, atol=1e-14
    )
    assert target.name == typed.text


@QUICK
@given(st.booleans().flatmap(lambda placed: sums(placed=placed)))
def test_the_extents_of_a_target_hold_all_that_it_weighs(typed):
    assume(np.abs(typed.weights).max() > 1e-9)
    held = np.zeros(LENGTH, bool)
    for _, axis, start, stop in TRACKS.parse(typed.text).extents(TRACKS.outputs, TRACKS.names):
        held[slice(start, stop) if axis == 2 else slice(None)] = True
    assert not typed.weights[:, ~held].any()


@QUICK
@given(run_of_tasks, pairs)
def test_pairs_of_positions_are_weighed_as_they_say(chosen, typed):
    text, places = typed
    numbers = [n for n in chosen[1] if n < 3]
    assume(numbers)
    expected = np.zeros((3, 6, 7))
    for i, j in places:
        expected[numbers, i, j] = 1 / (len(numbers) * len(places))
    target = MAPS.parse(f"{','.join(map(str, numbers))}@{text}")
    np.testing.assert_allclose(functional_of(MAPS, target), expected, rtol=1e-12, atol=1e-15)
    mirrored = target.mirrored(MAPS.outputs, MAPS.names)
    np.testing.assert_allclose(functional_of(MAPS, mirrored), expected[:, ::-1, ::-1], rtol=1e-12, atol=1e-15)


@settings(QUICK, max_examples=400)
@given(st.text("01@:,-+*/()'x. Tab", max_size=12))
def test_any_text_is_read_or_refused_in_one_line_about_it(text):
    said = refusal(text)
    assert said is None or (text.strip() in said and "\n" not in said)


def refusal(text: str) -> str | None:
    """What is said of a text that can't be read."""
    try:
        TRACKS.parse(text)
    except TargetError as error:
        return str(error)
    return None


class Scans(nn.Module):
    """Tracks (N, 3, 40), and counts (N, 2): piecewise linear, without constants."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.one, self.two = (
            nn.Conv1d(4, 6, 5, padding=2, bias=False),
            nn.Conv1d(6, 3, 3, padding=1, bias=False),
        )
        self.counts = nn.Linear(6, 2, bias=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.one(x).relu()
        return {"tracks": self.two(h), "counts": self.counts(h.amax(2))}


class Contacts(nn.Module):
    """A map by pairs of bins, (N, 2, 10, 10): most of the work is position by position in both."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.scan = nn.Conv1d(4, 4, 5, padding=2, bias=False)
        self.mix = nn.Sequential(
            nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.ReLU(),
            nn.Conv2d(8, 8, 1, bias=False), nn.ReLU(), nn.Conv2d(8, 2, 1, bias=False),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        bins = functional.avg_pool1d(self.scan(x).relu(), 4)
        return self.mix(bins[:, :, :, None] + bins[:, :, None, :])


class Squares(Contacts):
    """The same without an axis of tasks, (N, 10, 10)."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x)[:, 1]


class Triangle(Contacts):
    """The pairs above the diagonal as plain positions, (N, 2, 45)."""

    def forward(self, x: Tensor) -> Tensor:
        first, second = torch.triu_indices(10, 10, 1)
        return super().forward(x).flatten(2)[:, :, 10 * first + second]


CASES = [
    (Scans, "tracks/0,2@3:9,20", lambda y: y["tracks"][:, [0, 2]][:, :, [*range(3, 9), 20]].mean((1, 2))),
    (Scans, "2*tracks/1@-4:-0.5*(tracks/0-tracks/2)@centre:4",
     lambda y: 2 * y["tracks"][:, 1, 36:].mean(1)
               - 0.5 * (y["tracks"][:, 0] - y["tracks"][:, 2])[:, 18:22].mean(1)),
    (Scans, "tracks/*@:5+counts/1", lambda y: y["tracks"][:, :, :5].mean((1, 2)) + y["counts"][:, 1]),
    (Scans, "counts/*-tracks/0:2", lambda y: y["counts"].mean(1) - y["tracks"][:, :2].mean((1, 2))),
    (Contacts, "0@3x7", lambda y: y[:, 0, 3, 7]),
    (Contacts, "1@2:4x5:9", lambda y: y[:, 1, 2:4, 5:9].mean((1, 2))),
    (Contacts, "(1-0)@3x:", lambda y: (y[:, 1, 3] - y[:, 0, 3]).mean(1)),
    (Contacts, "*@0x1,8:x9", lambda y: (y[:, :, 0, 1] + y[:, :, 8, 9] + y[:, :, 9, 9]).mean(1) / 3),
    (Squares, "@3x7", lambda y: y[:, 3, 7]),
    (Squares, "@3x7-2*@2:4x5", lambda y: y[:, 3, 7] - 2 * y[:, 2:4, 5].mean(1)),
    (Triangle, "1@9:12", lambda y: y[:, 1, 9:12].mean(1)),
]  # fmt: skip


@pytest.mark.parametrize(("net", "text", "by_hand"), CASES, ids=[f"{c[0].__name__} {c[1]}" for c in CASES])
def test_relevance_is_that_of_the_number_computed_by_hand_from_the_models_output(net, text, by_hand):
    module = net().double()
    bases = torch.randint(4, (3, 40), generator=torch.Generator().manual_seed(1))
    x = functional.one_hot(bases, 4).transpose(1, 2).double().requires_grad_()
    graph = captured_once(module, x.detach())
    names = [OutputNames(output.name) for output in graph.outputs]
    target = TargetParser(graph.outputs, names).parse(text)
    (found,) = Explainer(graph, [target], names, PRESETS["zero"], NONE).explain(x.detach())
    score = by_hand(module(x))
    (gradient,) = torch.autograd.grad(score.sum(), x)
    torch.testing.assert_close(found.score, score.detach(), rtol=1e-12, atol=1e-14)
    # Of piecewise linear networks the rule LRP-0 gives gradient x input (Ancona et al. 2018, proposition 1).
    torch.testing.assert_close(found.contributions, gradient * x.detach(), rtol=1e-10, atol=1e-13)
