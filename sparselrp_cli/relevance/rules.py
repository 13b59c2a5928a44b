"""Propagation rules: how a layer's output relevance is shared among its inputs.

For an output neuron k with contributions ``z_jk`` under the rule,
``r_j = sum_k z_jk / stabilise(sum_j z_jk + b_k) R_k`` with ``stabilise(z) = z + eps sign(z)``.
A rule is data: it says by which weights and biases the contributions are made (`branches`); one step,
in `relevance.step`, serves all rules.

References: Bach et al. 2015 (PLoS ONE 10:e0130140); Montavon et al. 2019 (LNCS 11700, ch. 10).
"""

import dataclasses
from abc import ABC, abstractmethod
from dataclasses import dataclass
from types import MappingProxyType
from typing import ClassVar, Literal

import torch
from torch import Tensor

OutputSign = Literal["any", "non-negative", "negative"]
EPSILON = 1e-6
GAMMA = 0.25


@dataclass(frozen=True, eq=False)
class Branch:
    """The weights that make the contributions to output neurons of one sign.

    Attributes
    ----------
    output : str
        Which output neurons, by the sign of the layer's own output.
    up : Tensor
        Weights for non-negative inputs, or for all inputs where `down` is None.
    down : Tensor or None
        Weights for negative inputs.
    bias : Tensor or None
    own : bool
        Whether weights and bias are the layer's own, so that the denominator is its output.
    positive : bool
        Whether contributions have one sign, so that none can cancel.
    factor : float
        The share of the output's relevance that is given by this branch.
    offset : Tensor or None
        Weights of contributions that don't depend on the input, ``z_jk = a_j up_jk + offset_jk``.
    """

    output: OutputSign
    up: Tensor
    down: Tensor | None
    bias: Tensor | None
    own: bool = False
    positive: bool = False
    factor: float = 1.0
    offset: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Favoured:
    """The weights of a rule that favours contributions of the output's own sign, for both signs at once.

    With ``s_k = sign(z_k)`` of the layer's own output the contributions are ``z_jk + gamma (z_jk)+`` where
    ``s_k = +`` and ``z_jk + gamma (z_jk)-`` where ``s_k = -``. Both are
    ``(1 + gamma/2) z_jk + gamma/2 s_k |z_jk|``. So one forward, of ``|a|`` through ``|W|``, gives every
    denominator, and two transposes carry everything.

    Attributes
    ----------
    scale : float
        ``1 + gamma/2``.
    plain, magnitude : Tensor
        ``(1 + gamma/2) W`` and ``gamma/2 |W|``.
    bias, bias_magnitude : Tensor or None
        The same of the bias.
    """

    scale: float
    plain: Tensor
    magnitude: Tensor
    bias: Tensor | None
    bias_magnitude: Tensor | None


@dataclass(frozen=True)
class Rule(ABC):
    """A propagation rule with its parameters.

    Raises
    ------
    ValueError
        If a parameter is out of its range.
    """

    name: ClassVar[str]
    input_only: ClassVar[bool] = False
    """Whether the rule gives relevance to neurons that are 0, which only the model's input can take."""
    epsilon: float = EPSILON

    def __post_init__(self) -> None:
        if self.epsilon < 0:
            raise ValueError("'epsilon' must be 0 or more")

    @abstractmethod
    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        """Make the weights of the rule for a layer, given whether its inputs are never negative."""

    def favoured(self, weight: Tensor, bias: Tensor | None) -> Favoured | None:
        """Make the weights that stand for all branches at once, where the rule has such."""
        return None

    def describe(self) -> str:
        """Say the rule and its parameters, as tables and the manifest show it."""
        parameters = ", ".join(f"{k}={v:g}" for k, v in dataclasses.asdict(self).items() if v is not None)
        return f"{self.name} ({parameters})"


@dataclass(frozen=True)
class Zero(Rule):
    """LRP-0 (Bach et al. 2015, eq. 56; Montavon et al. 2019, sec. 10.2.1): ``a_j w_jk``, no stabiliser.

    On a network of ReLU and max pooling it is gradient x input.
    """

    name: ClassVar[str] = "zero"
    epsilon: float = 0.0

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        return (Branch("any", weight, None, bias, own=True),)


@dataclass(frozen=True)
class Epsilon(Rule):
    """LRP-epsilon (Bach et al. 2015, eq. 58): ``a_j w_jk``, stabilised; the bias keeps its share."""

    name: ClassVar[str] = "epsilon"

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        return (Branch("any", weight, None, bias, own=True),)


@dataclass(frozen=True)
class ZPlus(Rule):
    """LRP-z+ (Montavon et al. 2017, Pattern Recognition 65:211, eq. 12): positive contributions only.

    ``a_j w_jk+`` for inputs that are never negative, ``a_j+ w_jk+ + a_j- w_jk-`` for others; the bias's
    positive part takes its share.
    """

    name: ClassVar[str] = "z-plus"

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        down = None if non_negative else weight.clamp(max=0)
        return (Branch("any", weight.clamp(min=0), down, _up(bias), positive=True),)


@dataclass(frozen=True)
class Gamma(Rule):
    """LRP-gamma, split by the sign of the layer's own output: contributions of that sign are favoured.

    ``z_jk + gamma (z_jk)+`` where ``z_k >= 0`` (Montavon et al. 2019, sec. 10.2.3), ``z_jk + gamma (z_jk)-``
    where ``z_k < 0`` (the generalised form, Andéol et al. 2021), biases alike. With the first form alone the
    denominator ``z + gamma z+`` crosses zero wherever an output is negative, and sums explode in networks
    whose convolutions are added to a residual stream.
    """

    name: ClassVar[str] = "gamma"
    gamma: float = GAMMA

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.gamma < 0:
            raise ValueError("'gamma' must be 0 or more")

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        more = weight + self.gamma * weight.clamp(min=0)
        less = weight + self.gamma * weight.clamp(max=0)
        more_bias = None if bias is None else bias + self.gamma * bias.clamp(min=0)
        less_bias = None if bias is None else bias + self.gamma * bias.clamp(max=0)
        return (
            Branch("non-negative", more, None if non_negative else less, more_bias),
            Branch("negative", less, None if non_negative else more, less_bias),
        )

    def favoured(self, weight: Tensor, bias: Tensor | None) -> Favoured:
        half = self.gamma / 2
        biases = (None, None) if bias is None else ((1 + half) * bias, half * bias.abs())
        return Favoured(1 + half, (1 + half) * weight, half * weight.abs(), *biases)


@dataclass(frozen=True)
class AlphaBeta(Rule):
    """LRP-alpha-beta (Bach et al. 2015, eq. 60): positive and negative contributions apart, alpha - beta = 1.

    ``r_j = sum_k (alpha z_jk+ / z_k+ - beta z_jk- / z_k-) R_k``, by the sign of ``a_j w_jk`` for inputs of
    both signs. An output neuron without contributions of one sign leaves that share to the stabiliser.

    Raises
    ------
    ValueError
        If alpha - beta isn't 1, or alpha is below 1.
    """

    name: ClassVar[str] = "alpha-beta"
    alpha: float = 2.0
    beta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if abs(self.alpha - self.beta - 1) > 1e-9 or self.beta < 0:
            raise ValueError(
                f"alpha-beta needs alpha - beta = 1 and beta >= 0, not {self.alpha:g}, {self.beta:g}"
            )

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        up, down = weight.clamp(min=0), weight.clamp(max=0)
        bias_down = None if bias is None else bias.clamp(max=0)
        below, above = (None, None) if non_negative else (down, up)
        positive = Branch("any", up, below, _up(bias), positive=True, factor=self.alpha)
        if self.beta == 0:
            return (positive,)
        return positive, Branch("any", down, above, bias_down, positive=True, factor=-self.beta)


@dataclass(frozen=True)
class WSquare(Rule):
    """LRP-w² (Montavon et al. 2017, eq. 7): ``w_jk^2``, whatever the input; for the layer that reads it."""

    name: ClassVar[str] = "w-square"
    input_only: ClassVar[bool] = True

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        offset = weight.square()
        return (Branch("any", torch.zeros_like(weight), None, None, positive=True, offset=offset),)


@dataclass(frozen=True)
class Flat(Rule):
    """LRP-flat (Lapuschkin et al. 2019, Nat. Commun. 10:1096): every input gets the same.

    For the layer that reads the model's input.
    """

    name: ClassVar[str] = "flat"
    input_only: ClassVar[bool] = True

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        offset = torch.ones_like(weight)
        return (Branch("any", torch.zeros_like(weight), None, None, positive=True, offset=offset),)


@dataclass(frozen=True)
class ZBox(Rule):
    """LRP-z^B (Montavon et al. 2017, eq. 11): ``a_j w_jk - low w_jk+ - high w_jk-``, inputs in [low, high].

    One-hot bases lie in [0, 1]. A base that isn't there then gets what its absence contributes.

    Raises
    ------
    ValueError
        If low isn't below high.
    """

    name: ClassVar[str] = "z-box"
    input_only: ClassVar[bool] = True
    low: float = 0.0
    high: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.low < self.high:
            raise ValueError(f"z-box needs low < high, not {self.low:g}, {self.high:g}")

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        offset = -self.low * weight.clamp(min=0) - self.high * weight.clamp(max=0)
        return (Branch("any", weight, None, None, positive=True, offset=offset),)


RULES = MappingProxyType(
    {rule.name: rule for rule in (Zero, Epsilon, Gamma, AlphaBeta, ZPlus, WSquare, Flat, ZBox)}
)
"""All rules by name."""


def _up(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.clamp(min=0)
