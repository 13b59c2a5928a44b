"""Dinucleotide shuffling."""

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.sequences.shuffling import shuffle_dinucleotides


@given(st.text("ACGTN", max_size=60), st.integers(0, 5))
def test_ends_and_dinucleotides_stay(text, number):
    sequence = text.encode()
    shuffled = shuffle_dinucleotides(sequence, 0, number)
    pairs = [Counter(pairwise(s)) for s in (sequence, shuffled)]
    assert pairs[0] == pairs[1]
    assert (shuffled[:1], shuffled[-1:]) == (sequence[:1], sequence[-1:])


def test_every_order_is_equally_likely():
    """AACAGA has the orders in which C and G, and the double A, can come: all by hand, all as often."""
    orders = Counter(shuffle_dinucleotides(b"AACAGA", 0, i) for i in range(6000))
    assert set(orders) == {b"AACAGA", b"AAGACA", b"ACAAGA", b"AGAACA", b"ACAGAA", b"AGACAA"}
    assert all(abs(n - 1000) < 150 for n in orders.values())


@pytest.mark.parametrize("sequence", [b"", b"A", b"ac", b"acgtn"])
def test_short_and_lower_case_sequences_are_taken(sequence):
    assert len(shuffle_dinucleotides(sequence, 0, 0)) == len(sequence)
