"""Names from users are safe in file names and in tables."""

from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.files.names import field, target_file_name, target_file_names

law = settings(max_examples=300)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("CTCF", "CTCF"),
        ("profile/GATA1", "profile_GATA1"),
        ("out@3:7", "out_3_7"),
        ("K562-HepG2", "K562-HepG2"),
        ("a b", "a_b"),
        ("..", "_"),
        ("../../etc/passwd", "____etc_passwd"),
        (".hidden", "_hidden"),
        ("-rf", "_rf"),
        ("", "_"),
        ("β-catenin", "β-catenin"),
    ],
)
def test_target_names_become_parts_of_file_names(name, expected):
    assert target_file_name(name) == expected


@given(st.text())
@law
def test_a_file_name_never_leaves_the_folder(name):
    safe = target_file_name(name)

    assert safe
    assert len(safe.encode()) <= 80
    assert PurePosixPath(safe).parts == (safe,)
    assert ".." not in safe
    assert safe[0] not in ".-"
    assert field(safe) == safe


@given(st.lists(st.text(alphabet="aA/:_2", max_size=3)))
@law
def test_file_names_are_unique_even_where_case_does_not_count(names):
    given = target_file_names(names)

    assert len({name.casefold() for name in given}) == len(names)


def test_the_second_of_two_equal_file_names_is_numbered():
    assert target_file_names(["a/b", "a:b", "A_B"]) == ["a_b", "a_b_2", "A_B_3"]


@given(st.text())
@law
def test_a_field_never_breaks_a_line(text):
    safe = field(text)

    assert safe
    assert "\t" not in safe
    assert safe.splitlines() == [safe]
    safe.encode()


def test_a_field_keeps_what_is_safe():
    assert field("peak 7|β") == "peak 7|β"
    assert field("a\tb\nc") == "a_b_c"
    assert field("") == "."


def test_a_file_name_is_not_taken_with_any_of_its_endings():
    assert target_file_names(["x", "x.SD", "x.sd"], ("", ".sd")) == ["x", "x.SD_2", "x.sd_3"]
    assert target_file_names(["x.sd", "x"], ("", ".sd")) == ["x.sd", "x_2"]


def test_thousands_of_targets_of_one_name_are_told_apart_in_one_pass():
    """Were each number looked for from 2 on, this would take minutes."""
    assert target_file_names(["a"] * 20_000) == ["a", *(f"a_{number}" for number in range(2, 20_001))]


def test_numbers_go_on_past_names_that_have_them():
    assert target_file_names(["a", "a_2", "a", "A", "a"]) == ["a", "a_2", "a_3", "A_4", "a_5"]
