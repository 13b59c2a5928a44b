"""The books of a walk: where relevance that didn't reach the input went, per node and sample."""

from dataclasses import dataclass, field

import torch
from torch import Tensor

from sparselrp_cli.graph.shapes import Samples
from sparselrp_cli.relevance.pruning import Pruned
from sparselrp_cli.relevance.rows import sums


@dataclass(frozen=True, slots=True)
class PrunedLayer:
    """What pruning did to one tensor, per sample: shape (N,) each.

    Attributes
    ----------
    tensor : str
    neurons : int
        Per sample.
    kept, pruned_mass, mass : Tensor
        Neurons kept; relevance pruned and present before, in magnitude.
    fallback_columns, fallback_mass : Tensor or None
        PLRP-M only: output neurons that fell back to their unmasked column, and their relevance in magnitude.
    """

    tensor: str
    neurons: int
    kept: Tensor
    pruned_mass: Tensor
    mass: Tensor
    fallback_columns: Tensor | None = None
    fallback_mass: Tensor | None = None


@dataclass(slots=True)
class Ledger:
    """Relevance taken on the way, per sample in float64: shape (N,) each.

    Attributes
    ----------
    to_bias, to_stabiliser : Tensor
        Taken by biases and constants, and by stabilisers.
    to_special : Tensor
        What of `to_bias` lies at tokens that have no base: special ones, padding, and N alone.
    lost : Tensor
        Relevance of a sign that had no survivor (PLRP-M); it is nowhere else.
    pruned_layers : list of PrunedLayer
        From the output towards the input.
    """

    to_bias: Tensor
    to_stabiliser: Tensor
    to_special: Tensor
    lost: Tensor
    pruned_layers: list[PrunedLayer] = field(default_factory=list)

    @classmethod
    def empty(cls, n_samples: int, device: torch.device) -> "Ledger":
        zeros = torch.zeros(n_samples, dtype=torch.float64, device=device)
        return cls(zeros, zeros.clone(), zeros.clone(), zeros.clone())

    def absorb(self, relevance: Tensor | None, samples: Samples, *, of_tokens: bool = False) -> None:
        """Book what constants of an operation take, elementwise at its output; None is nothing."""
        if relevance is not None:
            taken = sums(relevance, samples)
            self.to_bias += taken
            self.to_special += taken if of_tokens else 0

    def book(self, to_bias: Tensor, to_stabiliser: Tensor) -> None:
        """Book what a layer's bias and stabiliser take, per sample."""
        self.to_bias += to_bias
        self.to_stabiliser += to_stabiliser

    def record(
        self, tensor: str, neurons: int, pruned: Pruned, columns: Tensor | None = None,
        mass: Tensor | None = None,
    ) -> None:  # fmt: skip
        """Note what pruning did to a tensor, and for PLRP-M what fell back."""
        self.pruned_layers.append(
            PrunedLayer(tensor, neurons, pruned.kept, pruned.pruned_mass, pruned.mass, columns, mass)
        )

    @property
    def absorbed(self) -> Tensor:
        """All that biases, constants and stabilisers took."""
        return self.to_bias + self.to_stabiliser
