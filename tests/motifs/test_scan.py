"""Scores of a matrix along a sequence, against counting all sequences by hand."""

from itertools import product

import numpy as np
import pytest

from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.motifs.scan import STEP, UNKNOWN, Matrix, encoded

RNG = np.random.default_rng(2)
MOTIF = KnownMotif("m", "", RNG.integers(0, 20, (5, 4)).astype(float))


def log_odds(motif: KnownMotif) -> np.ndarray:
    """By definition: half a site for each base, FIMO's least frequency, a uniform background."""
    shares = (motif.counts + 0.5) / (motif.counts + 0.5).sum(axis=1, keepdims=True)
    return np.log2((shares + 1e-4) / 0.25)


def test_p_is_the_share_of_all_sequences_that_score_as_much():
    matrix = Matrix.of(MOTIF)
    every = np.array([*product(range(4), repeat=5)])
    scores = matrix.scores(every)[0, :, 0]
    shares = [(scores >= score).mean() for score in scores]
    assert matrix.p_values(scores) == pytest.approx(shares, rel=1e-9)
    assert matrix.p_values(scores).min() == pytest.approx(4.0**-5)


def test_scores_are_those_of_the_definition_on_both_strands():
    letters = "".join(RNG.choice(list("ACGT"), 30))
    odds = log_odds(MOTIF)
    turned = letters[::-1].translate(str.maketrans("ACGT", "TGCA"))
    by_hand = [
        [sum(odds[j, "ACGT".index(text[i + j])] for j in range(5)) for i in range(26)]
        for text in (letters, turned)
    ]
    found = Matrix.of(MOTIF).bits(Matrix.of(MOTIF).scores(encoded(letters.encode())[np.newaxis]))
    # Five columns, each rounded to a step.
    assert found[0, 0] == pytest.approx(by_hand[0], abs=5 * STEP / 2 + 1e-9)
    assert found[1, 0] == pytest.approx(by_hand[1][::-1], abs=5 * STEP / 2 + 1e-9)


def test_a_place_with_an_unknown_base_scores_nothing():
    matrix = Matrix.of(MOTIF)
    scores = matrix.scores(encoded(b"ACGNACGTAC")[np.newaxis])
    known = [False, False, False, False, True, True]
    for strand in range(2):
        assert np.isfinite(matrix.bits(scores[strand, 0])).tolist() == known
        assert (matrix.p_values(scores[strand, 0]) < 1).tolist() <= known
    assert encoded(b"AcgtN")[-1] == UNKNOWN
