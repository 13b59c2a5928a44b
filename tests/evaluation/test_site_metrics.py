"""Metrics of sites as wholes, and of a motif's bases that matter, against loops over all windows."""

import numpy as np
import pytest
from Bio.motifs.matrix import FrequencyPositionMatrix

from sparselrp_cli.evaluation.metrics import average_precision
from sparselrp_cli.evaluation.site_metrics import (
    Sites,
    informative_average_precision,
    site_average_precision,
    site_metrics,
)
from sparselrp_cli.evaluation.sites import Intervals, matrix_hits, motif_sites
from sparselrp_cli.sequences.one_hot import encode, reverse_complement


def slow_average_precision(values, right):
    """Precision at each threshold times the recall that it adds."""
    found, before = 0.0, 0.0
    for threshold in sorted(set(values), reverse=True):
        called = [r for v, r in zip(values, right, strict=True) if v >= threshold]
        recall = sum(called) / sum(right)
        found += (recall - before) * sum(called) / len(called)
        before = recall
    return found


def slow_site_average_precision(a, extents):
    found = []
    for first, end in extents:
        width = end - first
        values, right = [], []
        for start in range(len(a) - width + 1):
            is_site = (start, start + width) in extents
            if is_site or not any(start < e and f < start + width for f, e in extents):
                values.append(sum(a[start : start + width]))
                right.append(is_site)
        found.append(slow_average_precision(values, right))
    return sum(found) / len(found)


def sites_at(extents, length):
    mask = np.zeros(length, bool)
    for first, end in extents:
        mask[first:end] = True
    return Sites(mask, np.array(extents, np.int64).reshape(-1, 2))


@pytest.mark.parametrize(
    "extents",
    [[(3, 7)], [(3, 7), (10, 14)], [(3, 7), (5, 9)], [(0, 4), (16, 20)], [(2, 5), (9, 15), (16, 18)]],
    ids=["one", "two", "overlapping", "at the ends", "three widths"],
)
@pytest.mark.parametrize("seed", range(3))
def test_site_ap_is_the_average_precision_over_windows_one_by_one(extents, seed):
    a = np.random.default_rng(seed).integers(-2, 4, 20).astype(float)
    expected = slow_site_average_precision(a.tolist(), extents)
    assert site_average_precision(a, sites_at(extents, 20)) == pytest.approx(expected)


def test_site_ap_by_hand():
    sites = sites_at([(2, 4)], 8)
    # Windows of two that no site reaches into begin at 0, 4, 5, 6.
    assert site_average_precision(np.array([0, 0, 1, 0, 0, 0, 0, 0.0]), sites) == 1
    # A wrong window scores more, and two are equal to the right one.
    assert site_average_precision(np.array([0, 0, 1, 0, 0, 1, 0, 9.0]), sites) == pytest.approx(1 / 4)
    # The window that begins one base before has most, and isn't asked for.
    assert site_average_precision(np.array([0, 1, 2, 0, 0, 0, 0, 0.0]), sites) == 1


@pytest.mark.parametrize("value", [0.0, 0.1, -0.3])
def test_a_flat_map_has_the_site_ap_of_chance(value):
    sites = sites_at([(2, 4)], 8)
    assert site_average_precision(np.full(8, value), sites) == pytest.approx(1 / 5)


def test_site_ap_of_the_same_site_twice_is_that_of_the_site():
    a = np.random.default_rng(0).normal(size=12)
    once, twice = sites_at([(2, 5), (7, 9)], 12), sites_at([(2, 5), (2, 5), (7, 9)], 12)
    assert site_average_precision(a, once) == site_average_precision(a, twice)


# One column that says all, one that says nothing, one of .53 bit, one of .21 bit; then all again.
COUNTS = {
    "A": [1000, 250, 660, 500, 0],
    "C": [0, 250, 114, 167, 0],
    "G": [0, 250, 113, 167, 0],
    "T": [0, 250, 113, 166, 1000],
}


@pytest.fixture
def matrix():
    return FrequencyPositionMatrix("ACGT", COUNTS).normalize(pseudocounts=0.1).log_odds()


def test_informative_bases_are_in_columns_that_say_much_and_favour_them(matrix):
    # The third base of the second match is rare there; the last match is on the other strand.
    text = b"GGGACAATGGGACCATGGGATTTTGG"
    (sites,) = motif_sites(encode(text)[None], matrix, 1.0)
    assert sites.extents.tolist() == [[3, 8], [11, 16], [19, 24]]
    covered = "".join("x" if m else "." for m in sites.mask)
    told = "".join("x" if m else "." for m in sites.informative)
    assert covered == "...xxxxx...xxxxx...xxxxx.."
    assert told == "...x.x.x...x...x...x.x.x.."


def test_matches_on_the_opposite_strand_are_the_same_seen_from_there(matrix):
    one_hot = encode(b"GGGACAATGGGACCATGGGATTTTGGCCA")
    (there,), (back,) = (motif_sites(x[None], matrix, 1.0) for x in (one_hot, reverse_complement(one_hot)))
    turned = back.reverse()
    np.testing.assert_array_equal(turned.mask, there.mask)
    np.testing.assert_array_equal(turned.informative, there.informative)
    assert sorted(turned.extents.tolist()) == there.extents.tolist()
    np.testing.assert_array_equal(matrix_hits(one_hot[None], matrix, 1.0)[0], there.mask)


def test_a_window_shorter_than_the_matrix_has_no_sites(matrix):
    (sites,) = motif_sites(encode(b"ACA")[None], matrix, 1.0)
    assert (sites.mask.sum(), len(sites.extents), sites.informative.sum()) == (0, 0, 0)
    assert np.isnan(site_average_precision(np.zeros(3), sites))
    assert np.isnan(informative_average_precision(np.zeros(3), sites))


def test_auprc_informative_leaves_out_the_other_positions_of_matches():
    mask = np.array([0, 1, 1, 1, 0, 0], bool)
    informative = np.array([0, 1, 0, 0, 0, 0], bool)
    sites = Sites(mask, np.array([[1, 4]]), informative)
    a = np.array([0, 2, 9, 9, 1, 3.0])
    # Of the positions 0, 1, 4, 5 the right one is second.
    assert informative_average_precision(a, sites) == pytest.approx(1 / 2)
    assert average_precision(a, mask) == pytest.approx((2 * 1 + 3 / 4) / 3)
    assert set(site_metrics(a, sites)) == {"site_ap", "auprc_informative"}
    assert set(site_metrics(a, Sites(mask, sites.extents))) == {"site_ap"}


def test_runs_of_a_mask_are_sites():
    sites = Sites.of_mask(np.array([1, 1, 0, 1, 0, 0, 1], bool))
    assert sites.extents.tolist() == [[0, 2], [3, 4], [6, 7]]
    assert len(Sites.of_mask(np.zeros(4, bool)).extents) == 0


def test_intervals_that_hang_over_the_ends_cover_positions_but_are_no_whole_sites():
    intervals = Intervals({"chr1": [(5, 12), (14, 16), (19, 30), (40, 50)]})
    sites = intervals.sites("chr1", 10, 10)
    assert "".join("x" if m else "." for m in sites.mask) == "xx..xx...x"
    assert sites.extents.tolist() == [[4, 6]]
    assert sites.informative is None
    assert not intervals.sites("chr2", 10, 10).mask.any()
