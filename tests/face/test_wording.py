"""Messages of the other rooms in the words of Python."""

import pytest

from sparselrp_cli.errors import CompositeError
from sparselrp_cli.face.wording import as_keywords, in_python_words


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ("give it with --window", "give it with window="),
        ("choose with --target among a, b", "choose with target= among a, b"),
        ("torch finds no GPU; use --device cpu", "torch finds no GPU; use device='cpu'"),
        ("--max-unknown is a share", "max_unknown= is a share"),
        ("use FILE.py:FACTORY with -w w.pt", "use FILE.py:FACTORY with weights= w.pt"),
        ("give the weights with -w FILE", "give the weights with weights="),
        (
            "go on with --resume, or throw them away with --restart",
            "go on with resume=True, or throw them away with resume=False",
        ),
        ("a-window -wide", "a-window -wide"),
    ],
)
def test_options_are_keywords(said, meant):
    assert as_keywords(said) == meant


def test_an_error_keeps_its_kind_and_its_example():
    with pytest.raises(CompositeError, match="window= is wrong") as caught, in_python_words():
        raise CompositeError("--window is wrong", ["an example"])
    assert caught.value.example == ("an example",)


def test_other_errors_are_left_alone():
    with pytest.raises(ValueError, match="--window"), in_python_words():
        raise ValueError("--window")
