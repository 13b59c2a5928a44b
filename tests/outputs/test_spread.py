"""The spread over several models is kept beside their mean, and only there."""

import csv

import h5py
import numpy as np
import pytest
from helpers.archives import SIZES, random_places, random_rows, rows_of_contributions, write_archive

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive import SPREAD, ArchiveReader, ArchiveRows, ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Packer
from sparselrp_cli.outputs.export import export_files
from sparselrp_cli.outputs.tables import WindowsTable
from sparselrp_cli.outputs.track_runs import track_runs
from sparselrp_cli.runs.totals import Totals


@pytest.fixture(params=[1, 3], ids=["one target", "three targets"])
def rows(request):
    return random_rows(random_places(600), 20, n_targets=request.param, spread=True)


@pytest.fixture
def path(tmp_path, rows):
    return write_archive(tmp_path / "run.h5", rows)


def test_the_spread_that_goes_in_comes_back(path, rows):
    with ArchiveReader(path) as reader:
        back = reader.rows(slice(3, 40))
        last = reader.contribution_sd(np.array([7, 7, 2]), rows.n_targets - 1)
        scores = reader.column("score_sd", rows.n_targets - 1)

    for name in SPREAD:
        np.testing.assert_array_equal(back.spread[name], rows.spread[name][:, 3:40])
    np.testing.assert_array_equal(last, rows.spread["contribution_sd"][-1, [7, 7, 2]])
    np.testing.assert_array_equal(scores, rows.spread["score_sd"][-1])


def test_the_datasets_are_compressed_and_have_the_target_axis_first(path, rows):
    leading = (3,) if rows.n_targets == 3 else ()
    with h5py.File(path) as file:
        assert file["contribution_sd"].shape == (*leading, 600, 20)
        assert file["contribution_sd"].dtype == np.float32
        assert file["contribution_sd"].compression == "gzip"
        assert file["score_sd"].shape == (*leading, 600)
        assert file["score_sd"].dtype == np.float64


@pytest.mark.parametrize("step", [1, 255, 257])
def test_bytes_depend_on_the_rows_not_on_their_grouping(tmp_path, path, rows, step):
    assert write_archive(tmp_path / "again.h5", rows, step).read_bytes() == path.read_bytes()


def test_an_archive_of_an_archive_is_the_same_file(tmp_path, path):
    copy = tmp_path / "copy.h5"
    with (
        ArchiveReader(path) as reader,
        ArchiveWriter(
            copy, window_length=20, target_names=reader.target_names, spread=reader.has_spread
        ) as writer,
    ):
        for chunk in reader.chunks(100):
            writer.append(reader.rows(chunk))
        writer.finish(reader.chrom_sizes, reader.manifest)

    assert copy.read_bytes() == path.read_bytes()


def test_an_archive_of_one_model_has_no_spread(tmp_path):
    with ArchiveReader(write_archive(tmp_path / "one.h5", random_rows(random_places(5), 20))) as reader:
        assert not reader.has_spread
        assert reader.rows(slice(None)).spread is None


@pytest.mark.parametrize("spread", [True, False])
def test_rows_that_do_not_fit_the_archive_are_a_mistake(tmp_path, spread):
    rows = random_rows([("chr1", 0)], 4, spread=not spread)
    with (
        pytest.raises(ValueError, match="rows come with a spread where the archive has one, and only there"),
        ArchiveWriter(tmp_path / "x.h5", window_length=4, target_names=["t"], spread=spread) as writer,
    ):
        writer.append(rows)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"score_sd": np.zeros((1, 3))}, r"score_sd has shape \(1, 3\), not \(1, 2\)"),
        ({"contribution_sd": np.zeros((1, 2))}, r"contribution_sd has shape \(1, 2\), not \(1, 2, 4\)"),
        ({}, "the spread has no column 'score_sd'"),
    ],
)
def test_a_spread_of_another_shape_is_a_mistake(change, message):
    rows = random_rows([("chr1", 0), ("chr2", 5)], 4, spread=True)
    spread = {**rows.spread, **change} if change else {}
    with pytest.raises(ValueError, match=message):
        ArchiveRows(rows.windows, rows.one_hot, rows.hypothetical, rows.accounting, rows.n_unknown, spread)


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_a_spread_that_cannot_be_kept_is_refused(tmp_path, value):
    rows = random_rows([("chr1", 0), ("chr2", 5)], 4, spread=True)
    wide = rows.spread["contribution_sd"].astype(np.float64)
    wide[0, 1, 2] = value
    rows.spread["contribution_sd"] = wide

    with pytest.raises(OutputError) as caught:
        write_archive(tmp_path / "run.h5", rows)

    assert str(caught.value) == (
        f"{tmp_path / 'run.h5'}: the spread over the models of chr2:5-9 (peak_1) is too large; "
        "check the models' weights"
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", SPREAD)
def test_an_archive_that_lost_half_of_its_spread_is_told(path, name):
    with h5py.File(path, "r+") as file:
        del file[name]

    with pytest.raises(OutputError, match=f"has no dataset '{name}'; copy it again"), ArchiveReader(path):
        pass


def test_the_table_ends_with_the_spread_of_the_score(tmp_path):
    rows = random_rows([("chr1", 0), ("chr2", 5)], 4, n_targets=2, spread=True)
    with WindowsTable(tmp_path / "t.tsv", ["a", "b"], spread=True) as table:
        table.append(rows)
    with (tmp_path / "t.tsv").open() as stream:
        lines = list(csv.DictReader(stream, delimiter="\t"))

    assert list(lines[0])[-1] == "score_sd"
    np.testing.assert_allclose(
        [float(line["score_sd"]) for line in lines], rows.spread["score_sd"].T.ravel(), rtol=1e-8
    )


@pytest.mark.parametrize("policy", ["nearest-centre", "mean", "max-abs", "sum"])
def test_a_spread_track_is_the_track_of_contributions_of_that_size(tmp_path, policy):
    places = random_places(30)
    rows = random_rows(places, 20, n_targets=2, spread=True)
    same = rows_of_contributions(places, rows.spread["contribution_sd"][1])
    with (
        ArchiveReader(write_archive(tmp_path / "a.h5", rows)) as of_spread,
        ArchiveReader(write_archive(tmp_path / "b.h5", same)) as of_contributions,
    ):
        got = list(track_runs(of_spread, policy, 1, spread=True))
        expected = list(track_runs(of_contributions, policy))

    assert [(run.chrom, run.start) for run in got] == [(run.chrom, run.start) for run in expected]
    for a, b in zip(got, expected, strict=True):
        np.testing.assert_array_equal(a.values, b.values)


def test_no_file_of_one_target_is_overwritten_by_the_spread_of_another(tmp_path):
    rows = random_rows(random_places(5), 20, n_targets=2, spread=True)
    with ArchiveWriter(
        tmp_path / "run.h5", window_length=20, target_names=["x", "x.sd"], spread=True
    ) as writer:
        writer.append(rows)
        writer.finish(SIZES, {})
    with ArchiveReader(tmp_path / "run.h5") as reader:
        files = export_files(reader, tmp_path / "run", ["bedgraph"], "mean")

    assert [path.name for path in files] == [
        f"run.{name}.bedgraph.gz" for name in ("x", "x.sd", "x.sd_2", "x.sd_2.sd")
    ]


def test_totals_hold_the_mean_spread_of_the_score(tmp_path):
    rows = random_rows(random_places(9), 20, n_targets=2, spread=True)
    totals = Totals(("a", "b"))
    packer = Packer(ArchiveShape(20, ("a", "b"), spread=True), tmp_path)
    for part in (rows[:4], rows[4:]):
        for block in (*packer.add(part), *packer.flush()):
            totals.add(block)

    found = [totals.outcome().means[name]["mean_score_sd"] for name in ("a", "b")]
    np.testing.assert_allclose(found, rows.spread["score_sd"].mean(1))
