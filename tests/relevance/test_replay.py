"""Batches that are recorded and replayed: when they are, and that a GPU gives the same bytes."""

import logging

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


class Recorder:
    """Stands for a GPU's: notes what is recorded, and what is replayed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.recorded: list[int] = []
        self.replayed: list[int] = []
        self.error = error

    def __call__(self, work, x):
        self.recorded.append(len(x))
        if self.error is not None:
            raise self.error
        return self.replay(work)

    def replay(self, work):
        def again(x):
            self.replayed.append(len(x))
            return work(x)

        return again


def replays(recorder: Recorder, *, room: bool = True) -> Replays[list[float]]:
    return Replays(lambda x: (2 * x).tolist(), recorder, lambda device: room)


def batches(*sizes: int) -> list[torch.Tensor]:
    return [torch.arange(float(size)) + i for i, size in enumerate(sizes)]


def test_a_shape_that_comes_again_and_again_is_recorded_once():
    recorder = Recorder()
    work = replays(recorder)

    for x in batches(*[8] * (BEFORE_RECORDING + 4)):
        assert work(x) == (2 * x).tolist()

    assert recorder.recorded == [8]
    assert recorder.replayed == [8] * 4


def test_the_last_batch_which_is_smaller_is_launched_as_ever():
    recorder = Recorder()
    work = replays(recorder)

    for x in batches(*[8] * (BEFORE_RECORDING + 2), *[3] * 9):
        assert work(x) == (2 * x).tolist()

    assert recorder.recorded == [8]
    assert recorder.replayed == [8, 8]


def test_few_batches_are_not_worth_a_recording():
    recorder = Recorder()
    work = replays(recorder)

    for x in batches(*[8] * BEFORE_RECORDING, 3):
        work(x)

    assert recorder.recorded == []


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("full"), RuntimeError("operation not permitted")])
def test_what_cant_be_recorded_is_launched_as_ever_and_not_tried_again(caplog, error):
    recorder = Recorder(error)
    work = replays(recorder)

    with caplog.at_level(logging.DEBUG, "sparselrp"):
        for x in batches(*[8] * (BEFORE_RECORDING + 3)):
            assert work(x) == (2 * x).tolist()

    assert recorder.recorded == [8]
    assert caplog.messages == [f"batches aren't replayed on the GPU: {error}"]


def test_without_room_nothing_is_recorded():
    recorder = Recorder()
    work = replays(recorder, room=False)

    for x in batches(*[8] * (BEFORE_RECORDING + 3)):
        assert work(x) == (2 * x).tolist()

    assert recorder.recorded == []


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
    assert bool(by_window._replays._recordings) == (name != "cumulative")
    for one_hot, found in zip(windows, replayed, strict=True):
        fresh = WindowExplainer(explainer, InputLayout(), average_strands=both_strands)
        expected = fresh.explain(one_hot, [i % 2 == 1 for i in range(8)])
        assert found.hypothetical.tobytes() == expected.hypothetical.tobytes()
        assert found.hypothetical.any()
        for column, values in expected.accounting.items():
            assert found.accounting[column].tobytes() == values.tobytes(), column
