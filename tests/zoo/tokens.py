"""The language models of the zoo, with the tokens that each reads."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from sparselrp_cli.model.token_models import TokenModel, sequences_of, tokens_of
from sparselrp_cli.model.tokens import Token
from zoo import language
from zoo.entry import Entry


@dataclass(frozen=True, slots=True)
class TokenEntry:
    """A language model.

    Attributes
    ----------
    name : str
    make : callable
        Makes the module, which reads ids.
    scheme : str
        How sequences become tokens.
    count : int
        Of tokens.
    window : int
        In bp.
    paper : str
    """

    name: str
    make: Callable[[], nn.Module]
    scheme: str
    count: int
    window: int
    paper: str

    def entry(self) -> Entry:
        """Give the network of one-hot sequences."""
        return Entry(
            self.name, lambda: TokenModel(self.make(), self.scheme, self.count), self.window, "1", self.paper
        )

    def tokens(self, x: Tensor) -> list[tuple[Token, ...]]:
        """Cut windows (N, 4, L)."""
        return [tokens_of(sequence, self.scheme, self.count) for sequence in sequences_of(x)]


_BASES, _ENDED = language.kmers(1, 1, 1), language.kmers(1, 1, 1, front=False)
LANGUAGE = (
    TokenEntry(
        "bert-of-3-mers", partial(language.Bert, 69), language.kmers(3, 1, 3), 14, 14,
        "Ji et al. 2021",
    ),
    TokenEntry(
        "esm-of-3-mers", partial(language.Esm, 73), language.kmers(3, 3, 1, 3, end=False), 21, 20,
        "Dalla-Torre et al. 2024",
    ),
    TokenEntry(
        "hyena-of-bases", partial(language.Hyena, 9, 13), _ENDED, 13, 12,
        "Nguyen et al. 2023",
    ),
    TokenEntry(
        "caduceus-of-bases", partial(language.Caduceus, 9), language.kmers(1, 1, 1, front=False, end=False),
        6, 6, "Schiff et al. 2024",
    ),
    TokenEntry("gpt-of-bases", partial(language.Gpt, 9, 14), _BASES, 14, 12, "Radford et al. 2019"),
    TokenEntry(
        "llama-of-bases", partial(language.Llama, 9), _BASES, 14, 12, "Touvron et al. 2023",
    ),
)  # fmt: skip


def random_windows(entry: TokenEntry, seed: int, count: int) -> Tensor:
    """Draw one-hot windows (N, 4, L)."""
    bases = torch.randint(4, (count, entry.window), generator=torch.Generator().manual_seed(seed))
    return nn.functional.one_hot(bases, 4).transpose(1, 2).double()
