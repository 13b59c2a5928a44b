"""What users type after --tokens: which tokens a model takes, and how many."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparselrp_cli.errors import ModelError
from sparselrp_cli.model.json_files import read_json
from sparselrp_cli.model.tokens import BASES, LONGEST_KMER, UNKNOWN_BASE, Kmers, Published, Tokeniser

_MOST_MIB = 64
_WORDS = ("step", "front", "end", "unknown", "pad", "tokens")
DETAILS = re.compile(r"(?P<file>.*?)(?P<details>(?:,\w+=[^,]*)*)")
_FRONT, _END, _PAD = ("[CLS]", "<cls>"), ("[SEP]",), ("[PAD]", "<pad>")
_UNKNOWN = ("[UNK]", "<unk>")
_TRIED, _MARGIN, _ROUND = 32, 1.25, 8
EXAMPLE = "tokenizer.json, vocab.txt,step=6 or A=7,C=8,G=9,T=10,N=11,end=1"


@dataclass(frozen=True, slots=True)
class AskedTokens:
    """What was asked for.

    Attributes
    ----------
    scheme : str
        See `model.tokens`.
    tokeniser : Tokeniser
    count : int or None
        How many tokens a window is given; None for what windows of its length take.
    files : tuple of Path
    """

    scheme: str
    tokeniser: Tokeniser
    count: int | None
    files: tuple[Path, ...]

    def count_for(self, window: int) -> int:
        """Say how many tokens windows of so many bp are given.

        Where that varies by window, with room for a quarter more than random windows take.
        """
        if self.count is not None:
            return self.count
        if isinstance(self.tokeniser, Kmers):
            return len(self.tokeniser.split(BASES[0] * window))
        letters, generator = np.array(list(BASES)), np.random.default_rng(0)
        drawn = ("".join(letters[generator.integers(4, size=window)]) for _ in range(_TRIED))
        most = max(len(self.tokeniser.split(sequence)) for sequence in drawn)
        return -(-int(most * _MARGIN) // _ROUND) * _ROUND


def read_tokens(text: str) -> AskedTokens:
    """Read what stands after --tokens: a file with details behind it, or the ids of single bases.

    Raises
    ------
    ModelError
        With one line on what is wrong and what to write.
    """
    try:
        return _read(text)
    except ModelError as error:
        raise ModelError(f"--tokens '{text}': {error}") from error


def _read(text: str) -> AskedTokens:
    match = DETAILS.fullmatch(text)
    assert match is not None  # any text is a name of a file
    pairs = [part.partition("=") for part in match["details"].split(",")[1:]]
    path, given = Path(match["file"]), {word: value for word, _, value in pairs}
    files: tuple[Path, ...] = (path,)
    if "=" in path.name and not path.exists():
        first = match["file"].partition("=")
        files, given = (), {first[0]: first[2], **given}
        table = {token: _whole(given.pop(token)) for token in (*BASES, UNKNOWN_BASE) if token in given}
        if not set(BASES) <= set(table):
            raise ModelError(f"no such file; or the ids of A, C, G and T; such as {EXAMPLE}")
    else:
        _require_words(given)
        table_or_document = _from_file(path)
        if isinstance(table_or_document, str):
            return _published(table_or_document, given, path)
        table = table_or_document
    _require_words(given)
    made = _kmers(table, given)
    return AskedTokens(made.to_scheme(), made, _count(given), files)


def _require_words(given: Mapping[str, str]) -> None:
    for word in given:
        if word not in _WORDS:
            raise ModelError(f"unknown '{word}='; known are {', '.join(f'{known}=' for known in _WORDS)}")


def _whole(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text):
        raise ModelError(f"'{text}' isn't a whole number")
    return int(text)


def _count(given: Mapping[str, str]) -> int | None:
    if "tokens" not in given:
        return None
    count = _whole(given["tokens"])
    if count < 1:
        raise ModelError("tokens=0 leaves no room for any")
    return count


def _from_file(path: Path) -> dict[str, int] | str:
    """Read a table of ids by token, or the text of a tokenizer.json."""
    if not path.is_file():
        raise ModelError(f"no such file; give one such as {EXAMPLE}")
    if path.suffix != ".json":
        return _listed(path)
    read = read_json(path, _MOST_MIB, "a table of tokens")
    if isinstance(read, dict) and "model" in read:
        return json.dumps(read)
    if (
        isinstance(read, dict)
        and read
        and all(type(number) is int and number >= 0 for number in read.values())
    ):
        return {str(token): number for token, number in read.items()}
    raise ModelError("neither a tokenizer.json nor a table of tokens with their ids")


def _listed(path: Path) -> dict[str, int]:
    """Read a vocab.txt: a token a line, the first is id 0."""
    if path.stat().st_size > _MOST_MIB << 20:
        raise ModelError(f"larger than {_MOST_MIB} MiB, so not a list of tokens")
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ModelError("can't be read as text; a vocab.txt has a token in each line") from error
    found: dict[str, int] = {}
    for number, token in enumerate(line.strip() for line in lines):
        if token in found:
            raise ModelError(
                f"'{token}' stands in line {found[token] + 1} and in line {number + 1}, so its id isn't"
                " known; each token has one line"
            )
        if token:
            found[token] = number
    return found


def _published(document: str, given: Mapping[str, str], path: Path) -> AskedTokens:
    if others := [word for word in given if word != "tokens"]:
        raise ModelError(f"'{others[0]}=' is for lists of k-mers; a tokenizer.json says it itself")
    made = Published(document)
    return AskedTokens(made.to_scheme(), made, _count(given), (path,))


def _kmers(table: Mapping[str, int], given: Mapping[str, str]) -> Kmers:
    of_bases = {token: number for token, number in table.items() if token and set(token) <= set(BASES)}
    if not of_bases:
        small = any(set(token) <= set("acgt") for token in table if token)
        raise ModelError(
            "its tokens are of the letters a, c, g and t, and sequences are read in capitals; write them so"
            if small
            else "it holds no tokens of the letters A, C, G and T"
        )
    lengths = {len(token) for token in of_bases}
    k = max(lengths)
    if lengths - {1, k} or k > LONGEST_KMER:
        raise ModelError(
            f"its tokens are of {min(lengths)} to {k} bases: byte pairs need to know which are joined first;"
            " give their tokenizer.json"
        )
    if missing := sorted(set(BASES) - set("".join(of_bases))):
        raise ModelError(
            f"none of its tokens holds the base {missing[0]}; give the list that the model was trained with"
        )
    step = _whole(given["step"]) if "step" in given else (k if lengths == {1, k} else 1)
    if not 1 <= step <= k:
        raise ModelError(f"step={step}: must be between 1 and the {k} bp of a token")
    kept = {token: n for token, n in table.items() if token and set(token) <= {*BASES, UNKNOWN_BASE}}
    names = {number: token for token, number in table.items() if token not in kept}

    def special(word: str, usual: Sequence[str]) -> list[int]:
        found = [token for token in usual if token in table][:1]
        return [_id(token, table) for token in (given[word].split("+") if given.get(word) else found)]

    front = [] if given.get("front") == "" else special("front", _FRONT)
    end = [] if given.get("end") == "" else special("end", _END)
    unknown, pad = special("unknown", _UNKNOWN), special("pad", _PAD)
    return Kmers(kept, k, step, front, end, _first(unknown), _first(pad), names)


def _first(found: Sequence[int]) -> int | None:
    return found[0] if found else None


def _id(token: str, table: Mapping[str, int]) -> int:
    if token in table:
        return table[token]
    if re.fullmatch(r"\d{1,9}", token):
        return int(token)
    raise ModelError(f"it holds no token '{token}'")
