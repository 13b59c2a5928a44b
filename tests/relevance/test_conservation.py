"""The conservation error, from its definition, for tensors and arrays alike."""

import numpy as np
import pytest
import torch

from sparselrp_cli.relevance.conservation import SCORE_FLOOR, conservation_error


@pytest.mark.parametrize("kind", [np.array, lambda values: torch.tensor(values, dtype=torch.float64)])
def test_it_is_the_gap_relative_to_the_score_or_to_a_tenth(kind):
    score = kind([2.0, -4.0, 0.01, 0.0])
    relevance = kind([1.0, -2.0, 0.0, 0.5])
    absorbed = kind([0.5, -1.0, 0.0, 0.0])
    lost = kind([0.25, 0.0, 0.0, 0.0])
    error = conservation_error(score, relevance, absorbed, lost)

    assert SCORE_FLOOR == 0.1
    assert type(error) is type(score)
    np.testing.assert_allclose(error, [0.125, 0.25, 0.1, 5.0], rtol=1e-15)


def test_what_isnt_finite_doesnt_pass_for_small():
    none = np.zeros(2)
    error = conservation_error(np.array([np.nan, 1.0]), np.array([0.0, np.inf]), none, none)

    assert np.isnan(error[0])
    assert np.isinf(error[1])
