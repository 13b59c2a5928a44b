# ruff: noqa: N803 -- the symbols of the papers: R for relevance of what lies above
"""Products of matrices, and attention made of them (AttnLRP, Achtibat et al. 2024), neuron by neuron."""

import numpy as np

from oracles.operations import Array, Oracle, softmax


def matrix_product(R: Array, x: Array, y: Array, scale: float = 1.0) -> list[Array]:
    """``scale x y`` of two matrices: each term's share of its sum, half to each factor."""
    on_x, on_y = np.zeros(x.shape), np.zeros(y.shape)
    for j, p in np.ndindex(*R.shape):
        total = sum(scale * x[j, i] * y[i, p] for i in range(x.shape[1]))
        for i in range(x.shape[1]):
            share = scale * x[j, i] * y[i, p] / total * R[j, p]
            on_x[j, i] += share / 2
            on_y[i, p] += share / 2
    return [on_x, on_y]


def attention(scale: float, mask: Array) -> Oracle:
    """A product, a softmax and a product; what the mask adds to a logit is its own."""

    def oracle(R: Array, q: Array, k: Array, v: Array) -> list[Array]:
        on_q, on_k, on_v = np.zeros(q.shape), np.zeros(k.shape), np.zeros(v.shape)
        for n in np.ndindex(*q.shape[:-2]):
            logits = scale * q[n] @ k[n].T
            shares = np.stack([softmax(row) for row in logits + mask])
            on_shares, on_v[n] = matrix_product(R[n], shares, v[n])
            on_logits = np.zeros(logits.shape)
            for i, j in np.ndindex(*logits.shape):
                on_logits[i, j] = logits[i, j] * (on_shares[i, j] - shares[i, j] * on_shares[i].sum())
            on_q[n], on_keys = matrix_product(on_logits, q[n], k[n].T, scale)
            on_k[n] = on_keys.T
        return [on_q, on_k, on_v]

    return oracle
