# ruff: noqa: N803 -- the symbols of the papers: W for weights, R for relevance of the layer above
"""LRP rules of one dense layer, as explicit matrices of contributions.

A layer is `z_k = sum_j a_j W_jk + b_k`. A rule changes the contributions `z_jk` and the bias, nothing else:
`r_j = sum_k z_jk / stabilise(sum_j z_jk + b_k) R_k`. What is not given to inputs is absorbed, so
`sum_j r_j + sum_k absorbed_k = sum_k R_k`.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
Matrix = NDArray[np.float64]
Mask = NDArray[np.bool_]

RULES = ("zero", "epsilon", "gamma", "z-plus", "alpha-beta", "w-square", "flat", "z-box")
ALPHA, BETA = 2.0, 1.0


class Step(NamedTuple):
    """Relevance per input (J,), and what each output neuron's bias and stabiliser took (K,)."""

    relevance: Vector
    absorbed: Vector


class MaskedStep(NamedTuple):
    """As `Step`, and which output neurons fell back to their unmasked column (K,)."""

    relevance: Vector
    absorbed: Vector
    fell_back: Mask


def step(
    a: Vector,
    W: Matrix,
    b: Vector,
    R: Vector,
    rule: str,
    eps: float,
    *,
    nonnegative: bool = False,
    gamma: float = 0.25,
) -> Step:
    """Propagate the relevance `R` (K,) of a layer's outputs to its inputs `a` (J,)."""
    relevance = np.zeros(len(a))
    absorbed = np.zeros(len(R))
    for z, bias, share in parts(a, W, b, rule, nonnegative=nonnegative, gamma=gamma):
        for k in range(len(R)):
            given, taken = _distribute(z[:, k], bias[k], share * R[k], 0.0 if rule == "zero" else eps)
            relevance += given
            absorbed[k] += taken
    return Step(relevance, absorbed)


def parts(
    a: Vector, W: Matrix, b: Vector, rule: str, *, nonnegative: bool, gamma: float = 0.25
) -> list[tuple[Matrix, Vector, float]]:
    """Contributions, bias, and the share of the output's relevance that goes by them."""
    if rule != "alpha-beta":
        return [(*contributions(a, W, b, rule, nonnegative=nonnegative, gamma=gamma), 1.0)]
    z = a[:, None] * W
    positive = (np.maximum(z, 0.0), np.maximum(b, 0.0), ALPHA)
    return [positive, (np.minimum(z, 0.0), np.minimum(b, 0.0), -BETA)]


def masked_step(
    a: Vector,
    W: Matrix,
    b: Vector,
    R: Vector,
    rule: str,
    keep: Mask,
    tau: float,
    eps: float,
    *,
    nonnegative: bool = False,
    gamma: float = 0.25,
) -> MaskedStep:
    """The second pass of PLRP-M: every output neuron gives its relevance to its own kept inputs.

    The contributions are those of the unmasked rule (the generalised gamma rule looks at the sign of the true
    output); the bias is left out. Output k falls back to its unmasked column where nothing it received was
    kept, where `|sum_j m_j z_jk| < tau sum_j |m_j z_jk|`, or where `sum_j m_j z_jk` is of another sign than
    `sum_j z_jk + b_k`.
    """
    relevance = np.zeros(len(a))
    absorbed = np.zeros(len(R))
    fell_back = np.zeros(len(R), dtype=bool)
    for z, bias, share in parts(a, W, b, rule, nonnegative=nonnegative, gamma=gamma):
        for k in range(len(R)):
            masked = np.where(keep, z[:, k], 0.0)
            size = np.abs(masked).sum()
            turned = masked.sum() * (z[:, k].sum() + bias[k]) < 0
            falls = size == 0 or abs(masked.sum()) < tau * size or turned
            fell_back[k] |= falls
            column, b_k = (z[:, k], bias[k]) if falls else (masked, 0.0)
            given, taken = _distribute(column, b_k, share * R[k], 0.0 if rule == "zero" else eps)
            relevance += given
            absorbed[k] += taken
    return MaskedStep(relevance, absorbed, fell_back)


def contributions(
    a: Vector, W: Matrix, b: Vector, rule: str, *, nonnegative: bool, gamma: float = 0.25
) -> tuple[Matrix, Vector]:
    """The rule's contributions `z_jk` (J, K) and its bias (K,)."""
    if nonnegative and (a < 0).any():
        raise ValueError("the input is said to be non-negative and has negative entries")
    up, down = np.maximum(a, 0.0), np.minimum(a, 0.0)
    z = np.zeros(W.shape)
    bias = np.array(b, dtype=np.float64)
    for k in range(W.shape[1]):
        w = W[:, k]
        w_plus, w_minus = np.maximum(w, 0.0), np.minimum(w, 0.0)
        if rule in ("zero", "epsilon"):
            z[:, k] = a * w
        elif rule == "z-plus" and nonnegative:
            z[:, k], bias[k] = a * w_plus, max(b[k], 0.0)
        elif rule == "z-plus":
            z[:, k], bias[k] = up * w_plus + down * w_minus, max(b[k], 0.0)
        elif rule == "gamma" and (a * w).sum() + b[k] >= 0:
            z[:, k] = up * (w + gamma * w_plus) + down * (w + gamma * w_minus)
            bias[k] = b[k] + gamma * max(b[k], 0.0)
        elif rule == "gamma":
            z[:, k] = up * (w + gamma * w_minus) + down * (w + gamma * w_plus)
            bias[k] = b[k] + gamma * min(b[k], 0.0)
        elif rule == "w-square":
            z[:, k], bias[k] = w**2, 0.0
        elif rule == "flat":
            z[:, k], bias[k] = w != 0, 0.0
        elif rule == "z-box":
            z[:, k], bias[k] = a * w - w_minus, 0.0
        else:
            raise ValueError(f"unknown rule {rule!r}; the rules are {', '.join(RULES)}")
    return z, bias


def stabilise(z: float, eps: float) -> float:
    """`z + eps sign(z)` with `sign(0) = +1`."""
    return z + eps if z >= 0 else z - eps


def _distribute(z_k: Vector, b_k: float, R_k: float, eps: float) -> tuple[Vector, float]:
    """Shares of one output neuron's relevance, and what its bias and stabiliser absorb."""
    total = z_k.sum() + b_k
    denominator = stabilise(total, eps)
    if denominator == 0:
        return np.zeros(len(z_k)), R_k
    return z_k / denominator * R_k, (b_k + denominator - total) / denominator * R_k
