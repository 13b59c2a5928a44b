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
from typing import ClassVar, Literal

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
        Whether no contribution can be negative, so that none can cancel.
    """

    output: OutputSign
    up: Tensor
    down: Tensor | None
    bias: Tensor | None
    own: bool = False
    positive: bool = False


@dataclass(frozen=True)
class Rule(ABC):
    """A propagation rule with its parameters."""

    name: ClassVar[str]
    epsilon: float = EPSILON

    @abstractmethod
    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        """Make the weights of the rule for a layer, given whether its inputs are never negative."""

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
    """LRP-gamma (Montavon et al. 2019, sec. 10.2.3): positive contributions are favoured.

    ``a_j (w_jk + gamma w_jk+)`` for inputs that are never negative. For inputs of both signs the generalised
    form (Andéol et al. 2021): contributions of the output's own sign are favoured, whichever way they arise.
    """

    name: ClassVar[str] = "gamma"
    gamma: float = GAMMA

    def branches(self, weight: Tensor, bias: Tensor | None, non_negative: bool) -> tuple[Branch, ...]:
        more = weight + self.gamma * weight.clamp(min=0)
        more_bias = None if bias is None else bias + self.gamma * bias.clamp(min=0)
        if non_negative:
            return (Branch("any", more, None, more_bias),)
        less = weight + self.gamma * weight.clamp(max=0)
        less_bias = None if bias is None else bias + self.gamma * bias.clamp(max=0)
        return (
            Branch("non-negative", more, less, more_bias),
            Branch("negative", less, more, less_bias),
        )


def _up(bias: Tensor | None) -> Tensor | None:
    return None if bias is None else bias.clamp(min=0)
