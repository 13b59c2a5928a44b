"""Alignment of motifs and of instances."""

import numpy as np
import pytest

from sparselrp_cli.motifs.alignment import Context, Instances, best_alignment, realign

SITE = "TTGTTGCATACTTTTGG"


def counts_of(site, n=100):
    return np.array([[n if base == b else 0 for b in "ACGT"] for base in site], float)


@pytest.mark.parametrize("offset", [-4, 0, 5])
@pytest.mark.parametrize("reverse", [False, True])
def test_a_shifted_motif_is_laid_back(offset, reverse):
    long = counts_of("ACGTA" + SITE + "CCATG")
    part = long[max(0, 5 + offset) : 5 + offset + len(SITE)]
    agreement, found, turned = best_alignment(long, part[::-1, ::-1] if reverse else part)
    assert (found, turned) == (max(0, 5 + offset), reverse)
    assert agreement > 0.7


def random_context(n=50, width=121, seed=0):
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, (n, width))
    start, reverse = rng.integers(50, 58, n), rng.random(n) < 0.5
    site = np.array(["ACGT".index(base) for base in SITE])
    for row in range(n):
        codes[row, start[row] : start[row] + len(site)] = 3 - site[::-1] if reverse[row] else site
    one_hot = (codes[..., None] == np.arange(4)).astype(np.float32)
    return Context(one_hot, rng.normal(size=one_hot.shape).astype(np.float32)), start, reverse


def test_realignment_finds_the_instances():
    context, start, reverse = random_context()
    found, bits = realign(context, counts_of(SITE), np.arange(50), reach=12)
    assert (found.start == start).all()
    assert (found.reverse == reverse).all()
    assert (bits > 20).all()


def test_instances_are_cut_in_the_orientation_of_the_motif():
    context, start, reverse = random_context()
    instances = Instances(np.arange(50), start, reverse, len(SITE))
    assert (instances.cut(context.one_hot).sum(axis=0) == counts_of(SITE, 50)).all()
    turned = instances.flipped().cut(context.contributions)
    assert (turned == instances.cut(context.contributions)[:, ::-1, ::-1]).all()


@pytest.mark.parametrize(("start", "end"), [(2, 9), (-3, 20), (-2, 5), (4, 30)])
def test_a_part_of_a_motif_is_that_part_of_its_instances(start, end):
    context, at, reverse = random_context()
    wide = Instances(np.arange(50), at, reverse, len(SITE)).window(-10, 40)
    part = Instances(np.arange(50), at, reverse, len(SITE)).window(start, end)
    whole = wide.cut(context.contributions)[:, start + 10 : end + 10]
    assert (part.cut(context.contributions) == whole).all()
