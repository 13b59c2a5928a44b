"""Batches that are recorded and replayed: when they are, and that a GPU gives the same bytes."""

import logging
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from zoo.architectures import ZOO

from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.layout import InputLayout
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.replay import BEFORE_RECORDING, Replays
from sparselrp_cli.relevance.windows import WindowExplainer


@dataclass
class FakeRecorder:
    """Stands for a GPU: notes what is recorded, and what is replayed."""

    error: Exception | None = None
    room: bool = True
    slower: bool = False
    factor: float = 2
    recorded: list[int] = field(default_factory=list)
    replayed: list[int] = field(default_factory=list)

    def has_room(self, device):
        return self.room

    def record(self, work, x):
        self.recorded.append(len(x))
        if self.error is not None:
            raise self.error
        return self.replay

    def replay(self, x):
        self.replayed.append(len(x))
        return self.factor * x

    def milliseconds(self, work, x):
        return 2.0 if (work == self.replay) == self.slower else 1.0


def doubled(x):
    return 2 * x


def batches(*sizes: int) -> list[torch.Tensor]:
    return [torch.arange(float(size)) + i for i, size in enumerate(sizes)]


def explain(recorder: FakeRecorder, *sizes: int) -> None:
    work = Replays(doubled, lambda made: (made,), recorder)
    for x in batches(*sizes):
        assert work(x).equal(2 * x)


def test_a_shape_that_comes_again_and_again_is_recorded_once():
    recorder = FakeRecorder()

    explain(recorder, *[8] * (BEFORE_RECORDING + 5))

    assert recorder.recorded == [8]
    assert recorder.replayed == [8] * 5  # one to compare with


def test_the_last_batch_which_is_smaller_is_launched_as_ever():
    recorder = FakeRecorder()

    explain(recorder, *[8] * (BEFORE_RECORDING + 2), *[3] * 9)

    assert recorder.recorded == [8]
    assert recorder.replayed == [8, 8]


def test_few_batches_are_not_worth_a_recording():
    recorder = FakeRecorder()

    explain(recorder, *[8] * BEFORE_RECORDING, 3)

    assert recorder.recorded == []


@pytest.mark.parametrize(
    ("recorder", "why"),
    [
        (FakeRecorder(torch.OutOfMemoryError("full")), "full"),
        (FakeRecorder(RuntimeError("operation not permitted")), "operation not permitted"),
        (FakeRecorder(room=False), "too little memory"),
        (FakeRecorder(factor=2 + 1e-6), "a recording gives other bytes"),
        (FakeRecorder(slower=True), "a recording is slower"),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_what_speaks_against_a_recording_is_found_once_and_batches_are_launched_as_ever(
    caplog, recorder, why
):
    with caplog.at_level(logging.DEBUG, "sparselrp"):
        explain(recorder, *[8] * (BEFORE_RECORDING + 4))

    assert len(recorder.recorded) <= 1
    assert len(recorder.replayed) <= 1
    assert caplog.messages == [f"batches are launched one by one on the GPU: {why}"]


@pytest.mark.gpu
@pytest.mark.parametrize("both_strands", [False, True], ids=["one strand", "both strands"])
@pytest.mark.parametrize("name", ["bpnet", "basset", "spliceai", "transformer-norm-first", "cumulative"])
def test_a_replay_gives_the_bytes_of_a_launch(name, both_strands):
    if not torch.cuda.is_available():
        pytest.skip("no NVIDIA GPU here")
    entry = next(entry for entry in ZOO if entry.name == name)
    graph = capture(entry.build(), entry.windows(2)).to(torch.device("cuda"), torch.float32)
    names = tuple(OutputNames(output.name, (), entry.axes) for output in graph.outputs)
    targets = [TargetParser(graph.outputs, names).parse(entry.targets.split()[0])]
    explainer = Explainer(graph, targets, names, PRESETS["epsilon-gamma"], base_axis=1)
    windows = [entry.windows(8).roll(i, -1).numpy().astype(np.uint8) for i in range(BEFORE_RECORDING + 3)]

    def explained():
        by_window = WindowExplainer(explainer, InputLayout(), average_strands=both_strands)
        # The next is launched before this one's result is taken, as in a run.
        launched = [by_window.launch(x, [i % 2 == 1 for i in range(8)]) for x in windows]
        return [each.result() for each in launched], by_window

    replayed, by_window = explained()
    # torch's gradient of a running product makes the host wait, which can't be recorded.
    assert name != "cumulative" or not by_window._replays._recordings
    for one_hot, found in zip(windows, replayed, strict=True):
        fresh = WindowExplainer(explainer, InputLayout(), average_strands=both_strands)
        expected = fresh.explain(one_hot, [i % 2 == 1 for i in range(8)])
        assert found.hypothetical.tobytes() == expected.hypothetical.tobytes()
        assert found.hypothetical.any()
        for column, values in expected.accounting.items():
            assert found.accounting[column].tobytes() == values.tobytes(), column
