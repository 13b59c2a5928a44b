"""Tables have a line for everything, and names can't break them."""

from pathlib import Path

import pytest
from helpers.archives import random_rows, windows_at

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive.rows import ACCOUNTING
from sparselrp_cli.outputs.tables import SkippedTable, WindowsTable, skipped_line
from sparselrp_cli.sequences.windows import Window


def read(path):
    header, *lines = [line.split("\t") for line in path.read_text().splitlines()]
    return [dict(zip(header, line, strict=True)) for line in lines]


def test_windows_have_a_line_each_with_their_accounting(tmp_path):
    rows = random_rows([("chr1", -2), ("chr2", 7)], 6)
    with WindowsTable(tmp_path / "run.windows.tsv", ["t"]) as table:
        table.append(rows[:1])
        table.append(rows[1:])
    first, second = read(tmp_path / "run.windows.tsv")

    assert list(first) == ["chrom", "start", "end", "name", "strand", *ACCOUNTING, "n_bases_unknown"]
    assert (first["chrom"], first["start"], first["end"], first["name"]) == ("chr1", "-2", "4", "peak_0")
    for name in ACCOUNTING:
        assert float(second[name]) == pytest.approx(rows.accounting[name][0, 1], rel=1e-8)
    assert int(second["n_bases_unknown"]) == rows.n_unknown[1]


def test_several_targets_have_a_line_each(tmp_path):
    rows = random_rows([("chr1", 0), ("chr2", 7)], 6, n_targets=2)
    with WindowsTable(tmp_path / "run.windows.tsv", ["a", "b\t"]) as table:
        table.append(rows)
    lines = read(tmp_path / "run.windows.tsv")

    assert [(line["name"], line["target"]) for line in lines] == [
        ("peak_0", "a"), ("peak_0", "b_"), ("peak_1", "a"), ("peak_1", "b_"),
    ]  # fmt: skip
    assert float(lines[3]["score"]) == pytest.approx(rows.accounting["score"][1, 1], rel=1e-8)


def test_skipped_regions_have_a_line_with_the_reason(tmp_path):
    with SkippedTable(tmp_path / "run.skipped.tsv") as table:
        table.write(skipped_line(Window("chrUn", 5, 9, "odd\tname\n", "+", 3), "unknown chromosome"))

    assert (tmp_path / "run.skipped.tsv").read_text() == (
        "chrom\tstart\tend\tname\tstrand\treason\nchrUn\t5\t9\todd_name_\t+\tunknown chromosome\n"
    )


def test_where_nothing_is_skipped_there_is_a_header_only(tmp_path):
    with SkippedTable(tmp_path / "run.skipped.tsv"):
        pass

    assert (tmp_path / "run.skipped.tsv").read_text() == "chrom\tstart\tend\tname\tstrand\treason\n"


def write_half(path):
    with SkippedTable(path) as table:
        table.write(skipped_line(windows_at([("chr1", 0)], 4)[0], "reason"))
        raise KeyboardInterrupt


def test_an_interrupted_table_leaves_nothing(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        write_half(tmp_path / "run.skipped.tsv")

    assert list(tmp_path.iterdir()) == []


def write_to_full_disk(path, monkeypatch, n):
    real = Path.open
    monkeypatch.setattr(Path, "open", lambda self, *args, **kwargs: real(Path("/dev/full"), *args, **kwargs))
    with SkippedTable(path) as table:
        for _ in range(n):
            table.write(skipped_line(windows_at([("chr1", 0)], 4)[0], "reason"))


@pytest.mark.parametrize("n", [1, 10_000], ids=["on closing", "on writing"])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, monkeypatch, n):
    path = tmp_path / "run.skipped.tsv"
    with pytest.raises(OutputError) as caught:
        write_to_full_disk(path, monkeypatch, n)

    assert str(caught.value) == (
        f"{path} can't be written: no space is left on the disk; free some, or write elsewhere"
    )
    assert list(tmp_path.iterdir()) == []
