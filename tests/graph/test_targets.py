"""Targets as users type them."""

import math

import pytest
import torch
from torch import nn

from sparselrp_cli.errors import TargetError
from sparselrp_cli.graph.canonical import GraphOutput
from sparselrp_cli.graph.capture import capture
from sparselrp_cli.graph.shapes import BatchDim
from sparselrp_cli.graph.targets import TargetParser
from sparselrp_cli.model.output_names import OutputNames
from sparselrp_cli.relevance.composites import PRESETS
from sparselrp_cli.relevance.explainer import Explainer
from sparselrp_cli.relevance.pruning import NONE

N = BatchDim()
PROFILE, COUNTS = GraphOutput("profile", "p", (N, 2, 10)), GraphOutput("counts", "c", (N, 2))
BPNET = TargetParser(
    [PROFILE, COUNTS], [OutputNames("profile", ("oct4", "sox2")), OutputNames("counts", ("oct4", "sox2"))]
)
ONE = TargetParser(
    [GraphOutput("output", "o", (N, 3))], [OutputNames("output", ("liver", "T-cell", "brain"))]
)


def weights(parser: TargetParser, text: str) -> dict[str, torch.Tensor]:
    """The functional a target stands for, on one sample."""
    values = {o.node: torch.zeros(1, *[d for d in o.shape if isinstance(d, int)]) for o in parser.outputs}
    return {k: v[0] for k, v in parser.parse(text).seeds(parser.outputs, parser.names, values).items()}


def test_a_task_is_named_or_numbered():
    assert weights(ONE, "brain")["o"].tolist() == [0, 0, 1]
    assert weights(ONE, "2")["o"].tolist() == [0, 0, 1]


def test_a_contrast_is_a_difference_also_of_names_with_a_hyphen():
    assert weights(ONE, "liver-brain")["o"].tolist() == [1, 0, -1]
    assert weights(ONE, "T-cell")["o"].tolist() == [0, 1, 0]
    assert weights(ONE, "T-cell-liver")["o"].tolist() == [-1, 1, 0]


def test_a_range_of_positions_is_their_mean():
    expected = torch.zeros(2, 10)
    expected[1, 3:7] = 0.25
    assert torch.equal(weights(BPNET, "profile/sox2@3:7")["p"], expected)


def test_a_single_position_counts_once():
    assert weights(BPNET, "profile/0@9")["p"].nonzero().tolist() == [[0, 9]]


def test_an_output_and_a_task_are_joined_by_a_slash():
    assert weights(BPNET, "counts/oct4")["c"].tolist() == [1, 0]


def test_a_mirrored_target_counts_positions_from_the_other_end():
    mirrored = BPNET.parse("profile/0@0:3").mirrored(BPNET.outputs, BPNET.names)
    assert mirrored.terms[0].positions == (7, 10)
    assert mirrored.mirrored(BPNET.outputs, BPNET.names) == BPNET.parse("profile/0@0:3")


def test_a_model_with_one_number_needs_no_target():
    for shape in ((N,), (N, 1), (N, 1, 1)):
        parser = TargetParser([GraphOutput("output", "o", shape)], [OutputNames("output")])
        seeds = parser.default().seeds(parser.outputs, parser.names, {"o": torch.zeros(2, *shape[1:])})
        assert seeds["o"].sum() == 2


@pytest.mark.parametrize(
    ("parser", "text", "message"),
    [
        (ONE, "lung", "unknown target 'lung'"),
        (ONE, "brian", "did you mean 'brain'"),
        (ONE, "3", "there is no task 3; tasks are numbered 0 to 2"),
        (ONE, "brain@4", "has no positions"),
        (BPNET, "profile/oct4@10", "the output has positions 0 to 9"),
        (BPNET, "profile/oct4@7:3", "the output has positions 0 to 9"),
        (BPNET, "profile/oct4@x", "@POSITION, @START:END, @profile or @blocks"),
        (BPNET, "oct4", "several outputs have a task 'oct4'; write OUTPUT/oct4"),
        (BPNET, "counts", "leaves the task open"),
    ],
)
def test_a_target_that_isnt_there_is_named(parser, text, message):
    with pytest.raises(TargetError, match=message):
        parser.parse(text)


def test_several_targets_ask_for_a_choice():
    with pytest.raises(TargetError, match=r"choose with --target among output/\{liver, T-cell, brain\}"):
        ONE.default()


# The shape of a profile.


def profile_seed(text: str, y: torch.Tensor) -> torch.Tensor:
    """The functional that a target of BPNET stands for, on the profile logits y."""
    values = {"p": y, "c": torch.zeros(len(y), 2, dtype=y.dtype)}
    return BPNET.parse(text).seeds(BPNET.outputs, BPNET.names, values)["p"]


def logits(seed: int) -> torch.Tensor:
    return 2 * torch.randn(3, 2, 10, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def shape_weights(y: torch.Tensor) -> torch.Tensor:
    """Softmax less its mean, number by number, of one sample's logits."""
    flat = [math.exp(float(v)) for v in y.flatten()]
    return torch.tensor([v / sum(flat) - 1 / len(flat) for v in flat], dtype=y.dtype).reshape(y.shape)


@pytest.mark.parametrize("seed", range(3))
def test_a_profile_of_one_task_is_weighed_by_its_softmax_less_the_mean(seed):
    y = logits(seed)
    found = profile_seed("profile/sox2@profile", y)
    for n in range(len(y)):
        torch.testing.assert_close(found[n, 1], shape_weights(y[n, 1]), rtol=1e-12, atol=1e-15)
    assert not found[:, 0].any(), "the other task"


@pytest.mark.parametrize("seed", range(3))
def test_a_profile_whose_task_is_left_open_is_taken_over_all_tasks_jointly(seed):
    y = logits(seed)
    found = profile_seed("profile@profile", y)
    for n in range(len(y)):
        torch.testing.assert_close(found[n], shape_weights(y[n]), rtol=1e-12, atol=1e-15)


def test_the_weights_of_a_profile_sum_to_nothing_so_a_constant_changes_nothing():
    y = logits(0)
    found = profile_seed("profile@profile", y)
    torch.testing.assert_close(found.sum((1, 2)), torch.zeros(3, dtype=y.dtype), rtol=0, atol=1e-14)
    torch.testing.assert_close(profile_seed("profile@profile", y + 5), found, rtol=1e-12, atol=1e-15)


def test_a_contrast_of_profiles_is_their_difference():
    y = logits(1)
    first, second = profile_seed("profile/oct4@profile", y), profile_seed("profile/sox2@profile", y)
    assert torch.equal(profile_seed("profile/oct4@profile-profile/sox2@profile", y), first - second)


def test_a_profile_of_a_flat_profile_weighs_nothing():
    assert float(profile_seed("profile/0@profile", torch.ones(2, 2, 10)).abs().max()) < 1e-7


def test_a_mirrored_profile_is_the_same_target():
    for text in ("profile/oct4@profile", "profile@profile", "profile/oct4@profile-profile/sox2@profile"):
        assert BPNET.parse(text).mirrored(BPNET.outputs, BPNET.names) == BPNET.parse(text)


def test_a_profile_needs_positions():
    with pytest.raises(
        TargetError, match=r"^target 'counts/oct4@profile': output 'counts' has no positions$"
    ):
        BPNET.parse("counts/oct4@profile")


class Profiles(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scan, self.out = nn.Conv1d(4, 5, 3), nn.Conv1d(5, 2, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.scan(x).relu())


@pytest.mark.parametrize("text", ["0@profile", "@profile", "0@profile-1@profile"])
def test_relevance_of_a_profile_sums_to_its_weighed_logits(text):
    torch.manual_seed(0)
    module, x = Profiles().double(), torch.rand(3, 4, 9, dtype=torch.float64)
    for layer in (module.scan, module.out):
        nn.init.zeros_(layer.bias)
    graph, names = capture(module, x), [OutputNames("output")]
    target = TargetParser(graph.outputs, names).parse(text)
    (found,) = Explainer(graph, [target], names, PRESETS["zero"], NONE).explain(x)
    y = module(x).detach()
    for n in range(3):
        parts = {"@profile": [(y[n], 1)], "0@profile": [(y[n, 0], 1)]}.get(
            text, [(y[n, 0], 1), (y[n, 1], -1)]
        )
        score = sum(sign * float((shape_weights(part) * part).sum()) for part, sign in parts)
        assert float(found.score[n]) == pytest.approx(score, rel=1e-10)
        assert float(found.contributions[n].sum()) == pytest.approx(score, rel=1e-9, abs=1e-12)
