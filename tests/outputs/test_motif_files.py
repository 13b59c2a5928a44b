"""What TF-MoDISco and Fi-NeMo are given: the archive, with nothing exactly zero where a base was observed."""

import math

import h5py
import numpy as np
import pytest
from helpers.archives import SIZES, random_places, random_rows, rows_of_contributions, write_archive

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.motif_files import (
    small_magnitude,
    without_zeros,
    write_modisco,
    write_modisco_h5,
    write_regions,
)


@pytest.fixture
def rows():
    return random_rows(random_places(300), 20, n_targets=2, zero_share=0.9)


@pytest.fixture
def reader(tmp_path, rows):
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        yield reader


def arrays(reader, folder, target=0, seed=0):
    paths = folder / "run.ohe.npz", folder / "run.attr.npz"
    write_modisco(reader, *paths, target, seed)
    loaded = []
    for path in paths:
        with np.load(path) as file:
            assert file.files == ["arr_0"]
            loaded.append(file["arr_0"])
    return loaded


@pytest.mark.parametrize("target", [0, 1])
def test_the_arrays_are_those_of_the_archive_off_the_zeros(tmp_path, reader, rows, target):
    one_hot, attributions = arrays(reader, tmp_path, target)
    original = rows.hypothetical[target]
    replaced = (rows.one_hot != 0) & (original == 0)

    np.testing.assert_array_equal(one_hot, rows.one_hot)
    np.testing.assert_array_equal(attributions[~replaced], original[~replaced])
    assert attributions.dtype == np.float32


@pytest.mark.parametrize("target", [0, 1])
def test_the_one_file_holds_the_numbers_of_the_two(tmp_path, reader, target):
    one_hot, attributions = arrays(reader, tmp_path, target)
    paths = tmp_path / "a.modisco.h5", tmp_path / "b.modisco.h5"
    for path in paths:
        write_modisco_h5(reader, path, target)

    with h5py.File(paths[0]) as file:
        assert set(file) == {"input_seqs", "hyp_scores"}
        np.testing.assert_array_equal(file["input_seqs"][:].swapaxes(1, 2), one_hot)
        np.testing.assert_array_equal(file["hyp_scores"][:].swapaxes(1, 2), attributions)
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_no_observed_base_has_a_contribution_of_exactly_zero(tmp_path, reader, rows):
    one_hot, attributions = arrays(reader, tmp_path)

    assert (attributions[one_hot != 0] != 0).all()
    assert np.isfinite(attributions).all()


def test_the_noise_is_half_of_the_small_contributions(tmp_path, reader, rows):
    _, attributions = arrays(reader, tmp_path)
    replaced = (rows.one_hot != 0) & (rows.hypothetical[0] == 0)
    noise = attributions[replaced]

    observed = np.abs((rows.hypothetical[0] * rows.one_hot).sum(axis=1))
    small = np.quantile(observed[observed > 0], 0.1)
    # Five standard errors of the standard deviation of so many normal values, and 1 % of the quantile.
    assert noise.std() == pytest.approx(0.5 * small, rel=0.01 + 5 / np.sqrt(2 * len(noise)))
    assert abs(noise.mean()) < 5 * noise.std() / np.sqrt(len(noise))


def test_the_noise_depends_on_the_row_and_the_seed_only(rows):
    part = slice(100, 150)
    whole = without_zeros(rows.one_hot, rows.hypothetical[0], first_row=0, scale=1e-4, seed=3)
    again = without_zeros(rows.one_hot[part], rows.hypothetical[0, part], first_row=100, scale=1e-4, seed=3)
    other = without_zeros(rows.one_hot, rows.hypothetical[0], first_row=0, scale=1e-4, seed=4)

    np.testing.assert_array_equal(whole[part], again)
    assert (whole != other).any()


def test_the_given_map_is_not_changed(rows):
    before = rows.hypothetical.copy()
    without_zeros(rows.one_hot, rows.hypothetical[0], first_row=0, scale=1, seed=0)

    np.testing.assert_array_equal(rows.hypothetical, before)


def test_two_writings_are_equal_bytes(tmp_path, reader):
    written = []
    for name in "ab":
        paths = [tmp_path / f"{name}.{kind}.npz" for kind in ("ohe", "attr")]
        write_modisco(reader, *paths)
        written.append([path.read_bytes() for path in paths])

    assert written[0] == written[1]


@pytest.mark.parametrize("n", [1, 2, 5, 10, 11, 1000])
def test_one_in_ten_contributions_does_not_exceed_the_small_magnitude(tmp_path, n):
    values = np.random.default_rng(n).lognormal(sigma=3, size=n)
    signed = np.where(np.arange(n) % 2, values, -values)
    rows = rows_of_contributions(
        [("chr1", 0)] * 4 * n, np.concatenate([signed, np.zeros(3 * n)])[:, np.newaxis]
    )

    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        expected = np.sort(values)[math.ceil(0.1 * n) - 1]
        assert small_magnitude(reader) == pytest.approx(expected, rel=0.01)


def test_a_map_that_is_all_zero_stays_so(tmp_path):
    rows = rows_of_contributions([("chr1", 0)], [[0.0] * 4])
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        _, attributions = arrays(reader, tmp_path)

    assert not attributions.any()


def test_the_one_file_without_windows_is_empty(tmp_path):
    with ArchiveReader(write_archive(tmp_path / "run.h5", random_rows([], 6))) as reader:
        write_modisco_h5(reader, tmp_path / "run.modisco.h5")

    with h5py.File(tmp_path / "run.modisco.h5") as file:
        assert file["hyp_scores"].shape == (0, 6, 4)


def test_an_archive_without_windows_gives_empty_arrays(tmp_path):
    with ArchiveReader(write_archive(tmp_path / "run.h5", random_rows([], 6))) as reader:
        one_hot, attributions = arrays(reader, tmp_path)

    assert one_hot.shape == attributions.shape == (0, 4, 6)


def test_regions_are_in_the_order_of_the_rows(tmp_path, reader, rows):
    write_regions(reader, tmp_path / "run.regions.narrowPeak")
    lines = [line.split("\t") for line in (tmp_path / "run.regions.narrowPeak").read_text().splitlines()]

    assert [line[3] for line in lines] == [window.name for window in rows.windows]
    for line, window in zip(lines, rows.windows, strict=True):
        start, end, summit = int(line[1]), int(line[2]), int(line[9])
        assert len(line) == 10
        assert line[5] == window.strand
        assert (start, end) == (max(0, window.start), min(window.end, SIZES[window.chrom]))
        assert start + summit == window.start + 10


def test_a_window_over_the_left_end_keeps_its_centre(tmp_path):
    rows = random_rows([("chr1", -4), ("chr1", 5)], 20)
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows)) as reader:
        write_regions(reader, tmp_path / "run.narrowPeak")

    assert (tmp_path / "run.narrowPeak").read_text() == (
        "chr1\t0\t16\tpeak_0\t0\t+\t0\t-1\t-1\t6\nchr1\t5\t25\tpeak_1\t0\t-\t0\t-1\t-1\t10\n"
    )


def test_a_folder_that_is_not_there_is_told(tmp_path, reader):
    missing = tmp_path / "no"
    with pytest.raises(
        OutputError, match=r"a.npz can't be written: the folder doesn't exist; create it first"
    ):
        write_modisco(reader, missing / "a.npz", missing / "b.npz")
    with pytest.raises(OutputError, match=r"c.narrowPeak can't be written: the folder doesn't exist"):
        write_regions(reader, missing / "c.narrowPeak")
