"""What the speed benchmark compares is comparable: the same score, the same part of the window, in turns."""

import pytest
import torch

from benchmarks.engines import (
    CROPPED,
    DEFAULT,
    ENGINES,
    GRADIENT,
    Engine,
    explanation,
    gradient,
    references,
    score,
)
from benchmarks.networks import CONTEXT, Subject, frozen, spliceai_like, suhw
from benchmarks.record import load
from benchmarks.speed import engine_speed
from benchmarks.timing import interleaved, ratios
from sparselrp_cli.graph.targets import Target, Term
from sparselrp_cli.relevance.choices import COMPOSITE
from sparselrp_cli.relevance.pruning import STANDARD

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def spliceai() -> Subject:
    """The SpliceAI-like network with random weights."""
    torch.manual_seed(0)
    (subject,) = frozen([spliceai_like()])
    return subject


def test_the_spliceai_like_network_sees_its_whole_context_from_one_position(spliceai):
    network, x = spliceai.module.double(), spliceai.inputs(1).double()
    seen = gradient(network, spliceai.target, torch.ones_like(x))().abs().sum((0, 1)).nonzero()[:, 0]
    assert (int(seen[0]), int(seen[-1]) + 1) == (spliceai.seen.start, spliceai.seen.end)
    assert spliceai.seen.end - spliceai.seen.start == CONTEXT + 1 == 2001


def test_the_gradient_of_the_cropped_input_is_that_of_the_whole_input_cut(spliceai):
    x = spliceai.inputs(1).double()
    spliceai.module.double()
    runs = references(spliceai, x)
    whole, cropped = runs[GRADIENT](), runs[CROPPED]()
    torch.testing.assert_close(cropped, whole[:, :, spliceai.seen.start : spliceai.seen.end])
    assert cropped.abs().max() > 0


def test_where_all_is_seen_there_is_one_reference():
    assert list(references(suhw(), suhw().inputs(1))) == [GRADIENT]


def test_references_and_engines_explain_the_same_score():
    subject = suhw()
    x, graph = subject.inputs(3), subject.graph(CPU)
    wanted = score(subject.module(x), subject.target)
    for engine in ENGINES:
        (found,) = explanation(subject, graph, engine, x)()
        torch.testing.assert_close(found.score, wanted, check_dtype=False)


def test_the_score_of_a_contrast_is_the_difference_of_means():
    y = torch.tensor([[[1.0, 2.0, 6.0], [0.0, 4.0, 0.0]]])
    target = Target("contrast", (Term(0, 0, None), Term(0, 1, (1, 2), weight=-1)))
    assert score(y, target).tolist() == [3.0 - 4.0]


def test_calls_are_timed_in_turns_after_a_round_that_warms_up():
    called = []
    runs = {name: lambda name=name: called.append(name) for name in ("a", "b")}
    times = interleaved(runs, 2, CPU)
    assert called == ["a", "b"] * 3
    assert {name: len(taken) for name, taken in times.items()} == {"a": 2, "b": 2}


def test_ratios_are_medians_of_ratios_in_the_same_round():
    times = {"reference": [1.0, 10.0, 2.0], "engine": [3.0, 10.0, 4.0]}
    assert ratios(times, "reference") == {"engine": 2.0}


def test_engine_speed_keeps_a_row_for_each_network_and_batch(tmp_path, capsys):
    engine_speed.main(
        ["--networks", "suhw", "--batches", "1", "2", "--rounds", "1", "--no-memory", "--out", str(tmp_path)]
    )
    record = load(tmp_path / "engine_speed_cpu.json")
    rows = record.tables["time"]
    assert [(row["network"], row["batch"], row["reference"]) for row in rows] == [
        ("suhw-dm3 4x600", 1, GRADIENT),
        ("suhw-dm3 4x600", 2, GRADIENT),
    ]
    assert all(set(ENGINES) < set(row) for row in rows)
    assert record.tables["memory"] == []
    assert "suhw-dm3 4x600" in capsys.readouterr().out


def test_engine_speed_measures_the_default_and_both_redistributions():
    assert ENGINES[DEFAULT] == Engine(COMPOSITE, STANDARD)
    assert {way.pruning.redistribute for way in ENGINES.values()} == {"lambda", "m"}
    assert set(engine_speed.TARGETS) <= set(ENGINES)
