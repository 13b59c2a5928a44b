"""What explaining a batch gives: relevance, and where all of it went."""

from dataclasses import dataclass

from torch import Tensor

from sparselrp_cli.relevance.conservation import conservation_error
from sparselrp_cli.relevance.ledger import Ledger


@dataclass(frozen=True, slots=True)
class Explanation:
    """The relevance of one batch for one target, with its accounts.

    Attributes
    ----------
    hypothetical : Tensor, shaped as the input
        Multipliers at the input, centred if that was asked for: the hypothetical contributions.
    contributions : Tensor, shaped as the input
        Input times `hypothetical`: relevance. Where the input has no bases, with what rules for the first
        layer give to inputs whatever they are.
    score, relevance, background, absorbed, lost : Tensor of float64, shape (N,)
        The explained number and where its relevance went: to the input, to what its bases share (see
        `centring`), to biases and stabilisers, nowhere.
    prediction : Tensor of float64, shape (N,)
        What the model itself gives for the target: the score, but for ends, see `relevance.ends`.
    ledger : Ledger
    """

    hypothetical: Tensor
    contributions: Tensor
    score: Tensor
    relevance: Tensor
    background: Tensor
    absorbed: Tensor
    lost: Tensor
    prediction: Tensor
    ledger: Ledger

    @property
    def conservation_error(self) -> Tensor:
        """How far the accounts are from closing, see `conservation_error`: shape (N,)."""
        return conservation_error(self.score, self.relevance, self.background, self.absorbed, self.lost)
