"""What TF-MoDISco is given, and what is said of what it finds."""

from types import SimpleNamespace

import numba
import numpy as np
import pytest

from sparselrp_cli.motifs import discovery
from sparselrp_cli.motifs.alignment import Context
from sparselrp_cli.motifs.discovery import CONTEXT, find_motifs, spread_evenly
from sparselrp_cli.motifs.threads import limited_threads

SITE = [0, 2, 1, 3, 3, 0, 2, 1, 0, 3]


def context_of(n: int) -> Context:
    """Seqlets with one site each, at the middle, in noise."""
    rng = np.random.default_rng(0)
    codes = rng.integers(0, 4, (n, CONTEXT))
    at = CONTEXT // 2 - len(SITE) // 2
    codes[:, at : at + len(SITE)] = SITE
    one_hot = np.eye(4, dtype=np.float32)[codes]
    hypothetical = rng.normal(0, 0.01, one_hot.shape).astype(np.float32)
    hypothetical[:, at : at + len(SITE)] += np.eye(4, dtype=np.float32)[SITE]
    return Context(one_hot, hypothetical)


@pytest.fixture
def given(monkeypatch) -> list[dict[str, object]]:
    """What TF-MoDISco is asked; it answers with one cluster of all seqlets, as they lie."""
    tfmodisco = pytest.importorskip("modiscolite.tfmodisco")
    asked: list[dict[str, object]] = []

    def cluster(seqlets, **options):
        asked.append({"seqlets": len(seqlets), **options})
        return [SimpleNamespace(seqlets=seqlets, sequence=np.zeros((discovery.SEQLET, 4)))]

    monkeypatch.setattr(tfmodisco, "seqlets_to_patterns", cluster)
    return asked


@pytest.mark.parametrize(("n", "most"), [(5, 5), (4, 9), (10, 5), (10, 4), (4999, 2000), (3, 1)])
def test_rows_at_equal_distances_are_chosen_once_each(n, most):
    chosen = spread_evenly(n, most)
    assert len(chosen) == min(n, most)
    assert chosen[0] == 0
    assert chosen[-1] < n
    steps = np.diff(chosen)
    assert set(steps) <= {n // min(n, most), n // min(n, most) + 1}


@pytest.mark.parametrize("most", [30, 120, 1000], ids=["a quarter is clustered", "all", "fewer than most"])
def test_all_seqlets_are_laid_to_motifs_that_some_were_clustered_to(given, most):
    context = context_of(120)
    (motif,) = find_motifs(context, 1, least=20, most_clustered=most)
    assert motif.consensus == "".join("ACGT"[base] for base in SITE)
    assert sorted(motif.instances.index) == list(range(120))
    assert given[0]["seqlets"] == min(most, 120)


def test_clusters_of_some_seqlets_may_be_as_much_smaller(given):
    for most in (400, 100):
        find_motifs(context_of(400), 1, least=80, most_clustered=most)
    assert [asked["final_min_cluster_size"] for asked in given] == [20, 5]


def test_threads_are_limited_in_the_block_only():
    before = numba.get_num_threads()
    with limited_threads(1):
        assert numba.get_num_threads() == 1
    with limited_threads(10_000):
        assert numba.get_num_threads() == before
    with limited_threads(None):
        assert numba.get_num_threads() == before
    assert numba.get_num_threads() == before


@pytest.mark.parametrize(("sign", "turned"), [(1, 0), (-1, 0), (1, 2), (1, 3)])
def test_equal_seqlets_are_one_motif_on_either_strand(sign, turned):
    """TF-MoDISco keeps none of them, as its measures of likeness don't vary, and would fail."""
    pytest.importorskip("modiscolite.tfmodisco")
    at = CONTEXT // 2 - len(SITE) // 2
    site = np.eye(4, dtype=np.float32)[SITE]
    one_hot, hypothetical = np.zeros((2, 60, CONTEXT, 4), np.float32)
    one_hot[..., 0] = 1
    one_hot[:, at : at + len(SITE)] = site
    hypothetical[:, at : at + len(SITE)] = sign * site
    for maps in (one_hot, hypothetical):
        if turned:
            maps[::turned] = maps[::turned, ::-1, ::-1].copy()
    (motif,) = find_motifs(Context(one_hot, hypothetical), sign, least=20)
    forward = "".join("ACGT"[base] for base in SITE)
    backward = forward[::-1].translate(str.maketrans("ACGT", "TGCA"))
    assert motif.consensus in (forward, backward)
    assert sorted(motif.instances.index) == list(range(60))
    reverse = {bool(r) for r in motif.instances.reverse[np.argsort(motif.instances.index)][:2]}
    assert len(reverse) == (2 if turned else 1), "the first two lie on different strands if any is turned"


def test_other_failures_of_tfmodisco_are_passed_on(monkeypatch):
    tfmodisco = pytest.importorskip("modiscolite.tfmodisco")

    def fail(**_):
        raise ValueError("shapes don't fit")

    monkeypatch.setattr(tfmodisco, "seqlets_to_patterns", fail)
    with pytest.raises(ValueError, match="shapes don't fit"):
        find_motifs(context_of(60), 1, least=20)
