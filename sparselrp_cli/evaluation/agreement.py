"""Metrics of one map that need no model: its agreement with known sites, and its sparsity."""

from sparselrp_cli.evaluation.metrics import (
    Mask,
    Values,
    auroc,
    average_precision,
    complexity,
    gini,
    relevance_mass_accuracy,
    relevance_rank_accuracy,
)


def map_metrics(a: Values, m: Mask | None) -> dict[str, float]:
    """Compute the metrics of a map, and those of its agreement with sites where they are given.

    Parameters
    ----------
    a : ndarray, shape (L,)
    m : ndarray of bool, shape (L,), or None
    """
    of_sites = {}
    if m is not None:
        of_sites = {
            "mass_in_sites": relevance_mass_accuracy(a, m),
            "rank_accuracy": relevance_rank_accuracy(a, m),
            "auroc": auroc(a, m),
            "auprc": average_precision(a, m),
        }
    return {
        **of_sites, "gini": gini(a), "complexity": complexity(a), "zero_share": float((a == 0).mean()),
    }  # fmt: skip
