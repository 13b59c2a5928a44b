"""Targets as users type them."""

import pytest
import torch

from sparselrp_cli.errors import TargetError
from sparselrp_cli.model.graph import GraphOutput
from sparselrp_cli.model.operations import BatchDim
from sparselrp_cli.model.targets import OutputNames, TargetParser

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
        (BPNET, "profile/oct4@x", "@POSITION, @START:END or @profile"),
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
