"""Shards cover the input, each place once, and begin where batches of the whole run do."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.errors import InputError
from sparselrp_cli.runs.shards import Part, Shard, part


@given(
    n_places=st.integers(0, 5000),
    batch_size=st.integers(1, 300),
    batches_in_a_unit=st.integers(1, 9),
    of=st.integers(1, 40),
)
def test_shards_cover_every_place_once(n_places, batch_size, batches_in_a_unit, of):
    unit = batch_size * batches_in_a_unit
    parts = [part(Shard(i, of), n_places, batch_size, unit) for i in range(1, of + 1)]
    assert parts[0].first == 0
    assert parts[-1].last * batch_size >= n_places
    assert all(one.last == two.first for one, two in pairwise(parts))
    assert all(p.first * batch_size % unit == 0 for p in parts)
    assert sum(p.n_places for p in parts) == n_places
    assert all(p.n_places >= 0 for p in parts)
    sizes = [p.last - p.first for p in parts]
    assert max(sizes) - min(sizes) <= batches_in_a_unit


def test_without_a_shard_it_is_everything():
    assert part(None, None, 8, 8) == Part(0, None, None)


def test_what_cannot_be_counted_cannot_be_cut():
    with pytest.raises(InputError, match="--shard counts the input first, and a pipe can be read only once"):
        part(Shard(1, 2), None, 8, 8)
