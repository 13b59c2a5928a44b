"""The one function that computes all metrics: which it gives for what, and that they are its parts'."""

import numpy as np
import pytest

from sparselrp_cli.evaluation.agreement import map_metrics
from sparselrp_cli.evaluation.effects import ism_r, var_r
from sparselrp_cli.evaluation.faithfulness import curves, curves_of_maps, shuffled_backgrounds
from sparselrp_cli.evaluation.mutagenesis import effects
from sparselrp_cli.evaluation.site_metrics import Sites, site_metrics
from sparselrp_cli.evaluation.window_metrics import window_metrics

N, LENGTH = 3, 40
OF_MODEL = ["ism_r", "var_r"]
OF_CURVES = [
    "deletion_share", "insertion_share", "deletion_drop", "insertion_rise", "abpc", "background_score",
]  # fmt: skip
OF_SITES = ["site_ap", "auprc_informative", "mass_in_sites", "rank_accuracy", "auroc", "auprc"]
OF_MAPS = ["gini", "complexity", "zero_share"]


class Drawn:
    """Windows, maps and sites at random, and a score that isn't additive."""

    def __init__(self):
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 4, (N, LENGTH))
        self.one_hot = (codes[:, np.newaxis] == np.arange(4)[:, np.newaxis]).astype(np.uint8)
        # Windows score more than shuffles of them.
        self.weights = rng.normal(size=(4, LENGTH)) + 3 * self.one_hot.mean(axis=0)
        self.hypothetical = rng.normal(size=(N, 4, LENGTH)).astype(np.float32)
        self.contributions = (self.hypothetical * self.one_hot).sum(axis=1)
        self.effects = np.stack([effects(window, self.scores) for window in self.one_hot])
        mask = np.arange(LENGTH) // 5 == 3
        self.sites = [Sites(mask, np.array([[15, 20]]), mask & (np.arange(LENGTH) % 2 == 0))] * N

    def scores(self, one_hot):
        added = (one_hot * self.weights).sum(axis=(1, 2))
        return added + added**2 / 10


@pytest.fixture(scope="module")
def drawn():
    return Drawn()


def test_a_map_alone_has_its_sparsity(drawn):
    assert list(window_metrics(drawn.one_hot, drawn.contributions).columns) == OF_MAPS


@pytest.mark.parametrize(
    ("given", "columns"),
    [("effects", OF_MODEL), ("scores", OF_CURVES), ("sites", OF_SITES)],
)
def test_each_thing_that_is_known_adds_its_metrics(drawn, given, columns):
    found = window_metrics(drawn.one_hot, drawn.contributions, **{given: getattr(drawn, given)})
    assert list(found.columns) == columns + OF_MAPS
    assert len(found) == N


def test_the_metrics_are_those_of_the_functions_that_define_them(drawn):
    backgrounds = shuffled_backgrounds(drawn.one_hot, 2)
    found = window_metrics(
        drawn.one_hot, drawn.contributions, drawn.hypothetical, effects=drawn.effects, scores=drawn.scores,
        backgrounds=backgrounds, sites=drawn.sites,
    )  # fmt: skip
    assert list(found.columns) == OF_MODEL + OF_CURVES + OF_SITES + OF_MAPS
    for i, row in found.iterrows():
        a, one_hot, sites = drawn.contributions[i], drawn.one_hot[i], drawn.sites[i]
        rng = np.random.default_rng([0, i])
        expected = {
            "ism_r": ism_r(a, drawn.effects[i], one_hot),
            "var_r": var_r(drawn.hypothetical[i], drawn.effects[i], one_hot),
            **curves(one_hot, a, backgrounds[i], drawn.scores, rng).metrics(),
            **site_metrics(a, sites),
            **map_metrics(a, sites.mask),
        }
        assert row.to_dict() == pytest.approx(expected, nan_ok=True)
    assert found["deletion_share"].notna().any()


def test_curves_that_are_known_already_are_not_drawn_again(drawn):
    known = curves_of_maps(
        drawn.one_hot, drawn.contributions, drawn.scores, shuffled_backgrounds(drawn.one_hot, 5)
    )
    given = window_metrics(drawn.one_hot, drawn.contributions, curves=known)
    again = window_metrics(drawn.one_hot, drawn.contributions, scores=drawn.scores)
    assert given.equals(again)


def test_a_method_without_hypothetical_contributions_has_no_var_r(drawn):
    found = window_metrics(drawn.one_hot, drawn.contributions, effects=drawn.effects)
    assert found["var_r"].isna().all()
    assert found["ism_r"].notna().all()


def test_sites_without_a_matrix_have_no_informative_bases(drawn):
    sites = [Sites.of_mask(sites.mask) for sites in drawn.sites]
    found = window_metrics(drawn.one_hot, drawn.contributions, sites=sites)
    assert "auprc_informative" not in found.columns
    assert found["site_ap"].notna().all()
