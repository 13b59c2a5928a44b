"""The table of formats: what each row writes, and that a row is all that a format needs."""

from pathlib import Path

import pytest
from helpers.archives import random_places, random_rows, write_archive

from sparselrp_cli.outputs import formats
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.best import best_rows
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.formats import FORMATS, Format, Product, products


@pytest.fixture
def archive(tmp_path) -> Path:
    return write_archive(tmp_path / "in.h5", random_rows(random_places(6), 12, 2, spread=True))


def names(paths: list[Path]) -> list[str]:
    return [path.name for path in paths]


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_writes_the_files_of_its_row_for_every_target(archive, tmp_path, name):
    with ArchiveReader(archive) as reader:
        written = export_files(reader, tmp_path / "run", [name], "mean")
    expected = []
    for target in ("task_0", "task_1"):
        for product in FORMATS[name].products:
            middles = (target, f"{target}.sd") if product.of_spread else (target,)
            if product.per_target:
                expected += [f"run.{middle}.{end}" for middle in middles for end in product.endings]
    expected += [f"run.{e}" for p in FORMATS[name].products if not p.per_target for e in p.endings]

    assert names(written) == expected
    assert all(path.stat().st_size > 0 for path in written)


def test_what_two_formats_share_is_written_once(archive, tmp_path):
    with ArchiveReader(archive) as reader:
        written = export_files(reader, tmp_path / "run", ["finemo", "modisco", "finemo"], "mean")

    assert len(set(written)) == len(written) == 5


def test_no_two_products_write_one_file():
    endings = [ending for product in products(FORMATS) for ending in product.endings]

    assert len(set(endings)) == len(endings)


def test_a_row_is_all_that_a_new_format_needs(archive, tmp_path, monkeypatch):
    def write(export, paths):
        paths[0].write_text(f"{export.reader.n_windows} windows of {export.target} under {export.overlap}\n")

    row = Format("note", "a note", (Product(("txt",), write),))
    monkeypatch.setattr(formats, "FORMATS", {**FORMATS, "note": row})
    with ArchiveReader(archive) as reader:
        export_files(reader, tmp_path / "run", ["note"], "sum")

    assert (tmp_path / "run.task_1.txt").read_text() == "6 windows of 1 under sum\n"


@pytest.mark.parametrize(
    ("scores", "best"),
    [
        ([[3, 1, 2]], [0, 2, 1]),
        # The best of each target come first, whatever the other says of them.
        ([[9, 1, 2, 3], [1, 8, 2, 3]], [0, 1, 3, 2]),
        # A target of large scores isn't heard more than one of small ones.
        ([[0.1, 0.2, 0.3], [300, 100, 200]], [0, 2, 1]),
    ],
)
def test_the_best_windows_have_the_highest_scores_of_any_target(tmp_path, scores, best):
    rows = random_rows(random_places(len(scores[0])), 12, len(scores))
    rows.accounting["score"][:] = scores
    with ArchiveReader(write_archive(tmp_path / "in.h5", rows)) as reader:
        assert best_rows(reader).tolist() == best
        assert best_rows(reader, 2).tolist() == best[:2]


def test_the_best_windows_are_lines_of_the_regions_best_first(archive, tmp_path):
    with ArchiveReader(archive) as reader:
        export_files(reader, tmp_path / "run", ["finemo", "top"], "mean")
        rows = best_rows(reader)
    regions = (tmp_path / "run.regions.narrowPeak").read_text().splitlines()
    assert (tmp_path / "run.top.narrowPeak").read_text().splitlines() == [regions[row] for row in rows]
