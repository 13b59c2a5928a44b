"""How a sequence becomes tokens: single bases, k-mers, or the pieces of a published tokenizer (byte pairs).

A scheme is kept as text, JSON, so that a traced or packed graph can carry it; `tokeniser` reads it again.
"""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from sparselrp_cli.errors import ModelError

BASES = "ACGT"
UNKNOWN_BASE = "N"
LONGEST_KMER = 12
"""In bp; there are 16 million 12-mers."""


class Token(NamedTuple):
    """A token of a window; special tokens cover no base.

    Attributes
    ----------
    number : int
        Its id.
    start, end : int
        The bases that it covers, half-open.
    """

    number: int
    start: int
    end: int


class Change(NamedTuple):
    """What a token is if one of its bases is another: the mean of other tokens, mostly of one.

    Attributes
    ----------
    offset : int
        Of the base within the token.
    base : int
        What it is then, as a number of A, C, G and T.
    number : int
        A token's id.
    weight : float
        Its share; the shares of a changed base add up to 1.
    """

    offset: int
    base: int
    number: int
    weight: float


class Tokeniser(ABC):
    """Cuts sequences of A, C, G, T and N into tokens.

    Attributes
    ----------
    padding : int or None
        The id that fills windows of fewer tokens up; None where there is none.
    varies : bool
        Whether windows of one length may have different numbers of tokens.
    """

    padding: int | None
    varies: bool

    @abstractmethod
    def split(self, sequence: str) -> tuple[Token, ...]:
        """Cut a sequence, special tokens included."""

    @abstractmethod
    def shares(self, piece: str) -> Sequence[tuple[int, float]]:
        """Give the ids that a piece has on its own, and how much of it each covers; none if it has none."""

    @abstractmethod
    def name(self, number: int) -> str:
        """Write a token."""

    @abstractmethod
    def describe(self) -> str:
        """Say what tokens are, in a few words."""

    @cached_property
    def _known(self) -> dict[str, tuple[Change, ...]]:
        return {}

    def changes(self, piece: str) -> tuple[Change, ...]:
        """Say what a token becomes by each change of one of its bases, those that are N apart.

        The changed piece is looked up as it would stand alone. Where it isn't a token itself, but several, it
        is taken to be their mean, each weighed by its length [ours].
        """
        if piece not in self._known:
            self._known[piece] = tuple(self._changes(piece))
        return self._known[piece]

    def _changes(self, piece: str) -> Iterator[Change]:
        for offset, old in enumerate(piece):
            for base, new in enumerate(BASES):
                if old not in (new, UNKNOWN_BASE):
                    for number, weight in self.shares(piece[:offset] + new + piece[offset + 1 :]):
                        yield Change(offset, base, number, weight)


class Kmers(Tokeniser):
    """Single bases or k-mers, by a table of their ids.

    Parameters
    ----------
    numbers : mapping of str to int
        Ids of k-mers and, for what is left over, of single bases.
    k : int
        In bp.
    step : int
        From one k-mer to the next, in bp: 1 where they overlap, k where they don't.
    front, end : sequence of int
        Ids of special tokens before and behind.
    unknown, padding : int or None
    names : mapping of int to str
        Of special tokens.
    """

    def __init__(
        self, numbers: Mapping[str, int], k: int, step: int, front: Sequence[int] = (),
        end: Sequence[int] = (), unknown: int | None = None, padding: int | None = None,
        names: Mapping[int, str] | None = None,
    ) -> None:  # fmt: skip
        self.numbers, self.k, self.step = numbers, k, step
        self.front, self.end = front, end
        self.unknown, self.padding = unknown, padding
        self._names = {number: token for token, number in numbers.items()} | dict(names or {})
        # Around an N single bases stand in for a k-mer.
        self.varies = k > 1 and step == k

    def split(self, sequence: str) -> tuple[Token, ...]:
        pieces = self._greedy(sequence) if self.varies else self._stepping(sequence)
        front = [Token(number, 0, 0) for number in self.front]
        end = [Token(number, len(sequence), len(sequence)) for number in self.end]
        return (*front, *pieces, *end)

    def _stepping(self, sequence: str) -> Iterator[Token]:
        for start in range(0, len(sequence) - self.k + 1, self.step):
            yield Token(self._number(sequence[start : start + self.k]), start, start + self.k)

    def _greedy(self, sequence: str) -> Iterator[Token]:
        """Take a k-mer where there is one, else a single base, as the tokenizer of ESM does."""
        start, singles = 0, any(base in self.numbers for base in BASES)
        while start < len(sequence):
            left_over = start + self.k > len(sequence)
            width = 1 if left_over or sequence[start : start + self.k] not in self.numbers else self.k
            if left_over and not singles:
                return  # what is left over at the end isn't read
            yield Token(self._number(sequence[start : start + width]), start, start + width)
            start += width

    def _number(self, piece: str) -> int:
        number = self.numbers.get(piece, self.unknown)
        if number is None:
            raise ModelError(
                f"the tokens have none for '{piece}' and no [UNK] for what they don't know; leave windows"
                " with N out (--max-unknown 0)"
            )
        return number

    def shares(self, piece: str) -> Sequence[tuple[int, float]]:
        if piece in self.numbers:
            return ((self.numbers[piece], 1.0),)
        if self.varies and all(base in self.numbers for base in piece):
            return [(self.numbers[base], 1 / len(piece)) for base in piece]
        return () if self.unknown is None else ((self.unknown, 1.0),)

    def name(self, number: int) -> str:
        return self._names.get(number, f"#{number}")

    def describe(self) -> str:
        if self.k == 1:
            return "single bases"
        if self.step == self.k:
            return f"{self.k}-mers one after the other, single bases where none fits"
        return f"overlapping {self.k}-mers, one every {self.step} bp"

    def to_scheme(self) -> str:
        """Write it as a scheme."""
        return json.dumps(
            {
                "kind": "k-mers", "tokens": dict(self.numbers), "k": self.k, "step": self.step,
                "front": list(self.front), "end": list(self.end), "unknown": self.unknown,
                "padding": self.padding, "names": {str(k): v for k, v in self._names.items()},
            }
        )  # fmt: skip

    @classmethod
    def from_scheme(cls, scheme: Mapping[str, Any]) -> "Kmers":
        """Read what `to_scheme` wrote, of a stranger too.

        Raises
        ------
        ValueError, KeyError, TypeError
            If it isn't that.
        """
        k, step = int(scheme["k"]), int(scheme["step"])
        if not 1 <= k <= LONGEST_KMER or not 1 <= step <= k:
            raise ValueError(f"k-mers of {k} bp, one every {step} bp")
        unknown, padding = (None if scheme[n] is None else int(scheme[n]) for n in ("unknown", "padding"))
        numbers = {str(token): int(number) for token, number in scheme["tokens"].items()}
        names = {int(number): str(token) for number, token in scheme["names"].items()}
        front, end = ([int(number) for number in scheme[n]] for n in ("front", "end"))
        return cls(numbers, k, step, front, end, unknown, padding, names)


class Published(Tokeniser):
    """The tokens of a `tokenizer.json`, as Hugging Face's `tokenizers` reads it.

    Parameters
    ----------
    document : str
        What the file holds.

    Raises
    ------
    ModelError
        If `tokenizers` isn't installed, or doesn't take the file.
    """

    varies = True

    def __init__(self, document: str) -> None:
        self.document = document
        self.kind, self.padding = _told_of(document)
        try:
            from tokenizers import Tokenizer
        except ImportError as error:
            raise ModelError(
                "a tokenizer.json is read by the package tokenizers: pip install 'sparselrp[tokens]'"
            ) from error
        try:
            self._tokenizer = Tokenizer.from_str(document)
        except Exception as error:  # tokenizers raises nothing more special
            raise ModelError(f"the package tokenizers can't read it: {error}") from error
        self._tokenizer.no_padding()
        self._tokenizer.no_truncation()
        self._require_bases()

    def _require_bases(self) -> None:
        pieces = [token for token in self.split(BASES) if token.end > token.start]
        unknown = self._tokenizer.token_to_id(str(json.loads(self.document)["model"].get("unk_token")))
        if not pieces or all(token.number == unknown for token in pieces):
            raise ModelError("its tokens aren't of the letters A, C, G and T")

    def split(self, sequence: str) -> tuple[Token, ...]:
        found = self._tokenizer.encode(sequence)
        special = zip(found.ids, found.offsets, found.special_tokens_mask, strict=True)
        return tuple(Token(i, *((0, 0) if is_special else span)) for i, span, is_special in special)

    def shares(self, piece: str) -> Sequence[tuple[int, float]]:
        found = self._tokenizer.encode(piece, add_special_tokens=False)
        lengths = [end - start for start, end in found.offsets]
        return [(i, n / sum(lengths)) for i, n in zip(found.ids, lengths, strict=True)]

    def name(self, number: int) -> str:
        return self._tokenizer.id_to_token(number) or f"#{number}"

    def describe(self) -> str:
        return {"BPE": "byte pairs"}.get(self.kind, f"the pieces of a {self.kind} tokenizer")

    def to_scheme(self) -> str:
        """Write it as a scheme."""
        return json.dumps({"kind": "tokenizer", "document": self.document})


_PADDING = ("[PAD]", "<pad>", "<|padding|>")


def _told_of(document: str) -> tuple[str, int | None]:
    """Read of a `tokenizer.json` which kind of model it is, and which id fills windows up.

    Raises
    ------
    ModelError
    """
    try:
        read = json.loads(document)
        kind, known = str(read["model"]["type"]), {t["content"]: t["id"] for t in read["added_tokens"]}
        vocabulary = read["model"]["vocab"]
        known |= vocabulary if isinstance(vocabulary, dict) else {v[0]: i for i, v in enumerate(vocabulary)}
        # Expressions of a stranger could take for ever.
        if '"Regex"' in json.dumps([read.get("pre_tokenizer"), read.get("normalizer")]):
            raise ModelError("it cuts by a regular expression, which isn't supported")
        told = (read.get("padding") or {}).get("pad_id")
    except (ValueError, KeyError, TypeError, IndexError, RecursionError) as error:
        raise ModelError("not a tokenizer.json as the package tokenizers writes it") from error
    return kind, next((known[token] for token in _PADDING if token in known), told)


@lru_cache(maxsize=8)
def tokeniser(scheme: str) -> Tokeniser:
    """Read a scheme.

    Raises
    ------
    ModelError
        If it isn't one.
    """
    try:
        read = json.loads(scheme)
        if read["kind"] == "k-mers":
            return Kmers.from_scheme(read)
        if read["kind"] == "tokenizer":
            return Published(str(read["document"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError("not a scheme of tokens") from error
    raise ModelError(f"unknown tokens '{read['kind']}'")
