"""Letters to one-hot columns."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.sequences.one_hot import count_ambiguous, encode, first_invalid, reverse_complement

IUPAC = "ACGTUNRYSWKMBDHV"
COMPLEMENT = dict(zip("ACGTN", "TGCAN", strict=True))

letters = st.text("ACGTN", max_size=60)


def column(letter: str) -> list[int]:
    base = letter.upper().replace("U", "T")
    return [int(base == known) for known in "ACGT"]


@given(st.text(IUPAC + IUPAC.lower(), max_size=60))
def test_every_column_says_which_base_it_is_and_is_zero_where_that_is_unknown(text: str) -> None:
    expected = np.array([column(letter) for letter in text], np.uint8).reshape(-1, 4).T
    encoded = encode(text.encode())
    assert encoded.dtype == np.uint8
    np.testing.assert_array_equal(encoded, expected)


@given(letters)
def test_the_reverse_complement_is_that_of_the_letters(text: str) -> None:
    other_strand = "".join(COMPLEMENT[letter] for letter in reversed(text))
    np.testing.assert_array_equal(reverse_complement(encode(text.encode())), encode(other_strand.encode()))


@given(letters)
def test_the_reverse_complement_undoes_itself(text: str) -> None:
    batch = np.stack([encode(text.encode())] * 3)
    np.testing.assert_array_equal(reverse_complement(reverse_complement(batch)), batch)


@pytest.mark.parametrize("letter", IUPAC + IUPAC.lower())
def test_every_iupac_letter_is_accepted(letter: str) -> None:
    assert first_invalid(letter.encode()) is None


@pytest.mark.parametrize("letter", "EFILPQZJOX*-. 0@\x80")
def test_the_first_letter_that_is_no_nucleotide_is_found(letter: str) -> None:
    assert first_invalid(b"ACG" + letter.encode("latin-1") + b"TE") == 3


def test_ambiguous_letters_are_counted_but_not_n() -> None:
    assert count_ambiguous(b"ACGTUNnryRYacgtu") == 4
