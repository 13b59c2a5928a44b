"""Files of targets: what is read of them, and what is refused with its line."""

import gzip

import pytest

from sparselrp_cli.errors import InputError
from sparselrp_cli.settings import targets
from sparselrp_cli.settings.reading import WrongValueError
from sparselrp_cli.settings.targets import NamedTarget, Targets, read_targets


def test_a_line_has_a_name_and_an_expression_as_typed_behind_t(tmp_path):
    path = tmp_path / "targets.tsv"
    text = "# name\texpression\n\nliver\t0@5:9\n   \nT-cell / K562\t 'T-cell'-\"5'UTR\"\t\r\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.replace('"\t\r', '"\r').encode())
    read = read_targets(str(path), ("a", "b", "a"))
    assert read == (
        "a",
        "b",
        NamedTarget("liver", "0@5:9"),
        NamedTarget("T-cell / K562", "'T-cell'-\"5'UTR\""),
    )
    assert [t.where for t in read if isinstance(t, NamedTarget)] == [
        "targets.tsv line 3",
        "targets.tsv line 5",
    ]


def test_a_packed_file_of_targets_is_read(tmp_path):
    path = tmp_path / "targets.tsv.gz"
    path.write_bytes(gzip.compress(b"one\t0\ntwo\t0\n"))
    assert read_targets(str(path)) == (NamedTarget("one", "0"), NamedTarget("two", "0"))


COLUMNS = "a line has two, a name and an expression, with one tab between them"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a 0\n", f"t.tsv line 1: 1 column; {COLUMNS}"),
        ("# c\na\t0\nb\t1\t2\n", f"t.tsv line 3: 3 columns; {COLUMNS}"),
        ("a\t\t0\n", f"t.tsv line 1: 3 columns; {COLUMNS}"),
        ("\t0\n", "t.tsv line 1: the name is missing; a line has a name, a tab and an expression"),
        ("a\t \n", "t.tsv line 1: the expression is missing; a line has a name, a tab and an expression"),
        (
            "a\t0\n\na\t1\n",
            "t.tsv line 3: the target 'a' is also given in line 1; give each a name of its own",
        ),
        ("x\t0\ny\t1\n", "t.tsv line 2: the target 'y' is also given by -t; give each a name of its own"),
        (
            "#\n\n",
            "t.tsv: holds no target; write a name, a tab and an expression in each line",
        ),
        ("", "t.tsv: holds no target; write a name, a tab and an expression in each line"),
        ("n" * 201 + "\t0\n", "t.tsv line 1: a name of over 200 characters; shorten it"),
        (
            "a\x1b[31m\t0\n",
            "t.tsv line 1: the name holds characters that can't be printed; take them out",
        ),
        (b"\xff\t0\n", "t.tsv line 1: not UTF-8 text; write a name, a tab and an expression"),
        (b"a\0\t0\n", "t.tsv line 1: binary, not text"),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_a_file_that_is_wrong_is_refused_with_its_line(tmp_path, content, message):
    path = tmp_path / "t.tsv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError) as caught:
        read_targets(str(path), ("y",))
    assert str(caught.value) == message


def test_more_targets_than_any_archive_has_room_for_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(targets, "MOST_TARGETS", 3)
    path = tmp_path / "t.tsv"
    path.write_text("".join(f"t{i}\t{i}\n" for i in range(4)))
    with pytest.raises(InputError, match=r"^t\.tsv line 4: more than 3 targets; split the file$"):
        read_targets(str(path))


def test_a_file_that_isnt_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"none\.tsv"):
        read_targets(str(tmp_path / "none.tsv"))


@pytest.mark.parametrize("value", ["a", [1], [{"name": "a"}], [{"name": "a", "expression": 1}], None])
def test_what_isnt_a_list_of_targets_in_a_manifest_is_refused(value):
    with pytest.raises(
        WrongValueError, match=r"isn.t a list of targets|is neither a text nor a name with its"
    ):
        Targets().read(value)
