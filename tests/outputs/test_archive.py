"""The archive gives back what was put in, whatever the grouping, and says what is wrong with a bad one."""

import resource
import signal
import subprocess
import sys
import textwrap

import h5py
import numpy as np
import pytest
from helpers.archives import SIZES, random_places, random_rows, write_archive

from sparselrp_cli.errors import OutputError
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveReader, ArchiveRows, ArchiveWriter


@pytest.fixture(params=[1, 3], ids=["one target", "three targets"])
def rows(request):
    return random_rows(random_places(600), 20, n_targets=request.param)


@pytest.fixture
def path(tmp_path, rows):
    return write_archive(tmp_path / "run.h5", rows, manifest={"b": [1, 2], "a": "ü"})


def assert_equal_rows(got, expected):
    assert list(got.windows) == list(expected.windows)
    np.testing.assert_array_equal(got.one_hot, expected.one_hot)
    np.testing.assert_array_equal(got.hypothetical, expected.hypothetical)
    np.testing.assert_array_equal(got.n_unknown, expected.n_unknown)
    for name in ACCOUNTING:
        np.testing.assert_array_equal(got.accounting[name], expected.accounting[name])


def test_what_goes_in_comes_back(path, rows):
    with ArchiveReader(path) as reader:
        assert (reader.n_windows, reader.window_length) == (600, 20)
        assert reader.target_names == [f"task/{t}" for t in range(rows.n_targets)]
        assert reader.manifest == {"b": [1, 2], "a": "ü"}
        assert list(reader.chrom_sizes.items()) == list(SIZES.items())
        assert_equal_rows(reader.rows(slice(None)), rows)


def test_rows_come_back_in_any_order_and_more_than_once(path, rows):
    chosen = np.array([599, 3, 4, 5, 5, 0, 300])
    with ArchiveReader(path) as reader:
        one_hot, hypothetical = reader.read(chosen, rows.n_targets - 1)
        windows = reader.windows(chosen)
        nothing = reader.read(np.array([], np.int64))

    np.testing.assert_array_equal(one_hot, rows.one_hot[chosen])
    np.testing.assert_array_equal(hypothetical, rows.hypothetical[-1, chosen])
    assert windows == [rows.windows[i] for i in chosen]
    assert nothing[0].shape == (0, 4, 20)


def test_coordinates_and_columns_are_those_of_the_windows(path, rows):
    with ArchiveReader(path) as reader:
        at = reader.coordinates
        last = rows.n_targets - 1
        np.testing.assert_array_equal(reader.column("score", last), rows.accounting["score"][last])
        np.testing.assert_array_equal(reader.column("n_bases_unknown"), rows.n_unknown)
        np.testing.assert_array_equal(reader.column("region_index"), [w.index for w in rows.windows])

    assert [list(SIZES)[c] for c in at.chrom] == [w.chrom for w in rows.windows]
    assert at.start.tolist() == [w.start for w in rows.windows]
    assert at.end.tolist() == [w.end for w in rows.windows]


def test_contributions_are_those_of_the_observed_bases(path, rows):
    with ArchiveReader(path) as reader:
        contributions = reader.contributions(slice(None))

    observed = (rows.one_hot * rows.hypothetical[0]).sum(axis=1)
    np.testing.assert_array_equal(contributions, observed)
    assert contributions.dtype == np.float32


@pytest.mark.parametrize("size", [1, 7, 600, 1000])
def test_chunks_go_through_all_windows_once(path, size):
    with ArchiveReader(path) as reader:
        seen = [row for chunk in reader.chunks(size) for row in range(chunk.start, chunk.stop)]

    assert seen == list(range(600))


@pytest.mark.parametrize("step", [1, 7, 255, 256, 257])
def test_bytes_depend_on_the_rows_not_on_their_grouping(tmp_path, path, rows, step):
    again = write_archive(tmp_path / "again.h5", rows, step, manifest={"a": "ü", "b": [1, 2]})

    assert again.read_bytes() == path.read_bytes()


def test_an_archive_of_an_archive_is_the_same_file(tmp_path, path):
    copy = tmp_path / "copy.h5"
    with (
        ArchiveReader(path) as reader,
        ArchiveWriter(copy, window_length=20, target_names=reader.target_names) as writer,
    ):
        for chunk in reader.chunks(100):
            writer.append(reader.rows(chunk))
        writer.finish(reader.chrom_sizes, reader.manifest)

    assert copy.read_bytes() == path.read_bytes()


def test_the_datasets_are_those_that_other_tools_read(path, rows):
    leading = (3,) if rows.n_targets == 3 else ()
    with h5py.File(path) as file:
        assert file["input_seqs"].shape == (600, 20, 4)
        assert file["input_seqs"].dtype == np.uint8
        assert file["hyp_scores"].shape == (*leading, 600, 20, 4)
        assert file["hyp_scores"].dtype == np.float32
        assert {d.compression for d in file.values()} == {"gzip", None}
        assert not any(d.fletcher32 or d.scaleoffset for d in file.values())
        packed = {name for name, d in file.items() if d.compression and d.dtype.itemsize > 1}
        assert {name for name, d in file.items() if d.shuffle} == packed
        assert "hyp_scores" in packed
        first = file["coords_chrom"][0]
        assert file["chrom_names"].asstr()[first] == rows.windows[0].chrom


def test_few_windows_share_a_chunk(tmp_path):
    with h5py.File(write_archive(tmp_path / "long.h5", random_rows([("chr1", 0)], 5000))) as file:
        assert file["hyp_scores"].chunks == (1, 5000, 4)


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_the_type_of_the_maps_is_the_one_asked_for(tmp_path, dtype):
    rows = random_rows(random_places(5), 20, dtype=np.float64)
    with ArchiveReader(write_archive(tmp_path / "run.h5", rows, dtype=dtype)) as reader:
        _, hypothetical = reader.read(slice(None))
        contributions = reader.contributions(slice(None))

    np.testing.assert_array_equal(hypothetical, rows.hypothetical[0].astype(dtype))
    assert contributions.dtype == np.promote_types(dtype, np.float32)


def test_a_manifest_of_megabytes_is_kept(tmp_path):
    manifest = {"nodes": ["x" * 100] * 30_000}
    with ArchiveReader(write_archive(tmp_path / "run.h5", random_rows([], 4), manifest=manifest)) as reader:
        assert reader.manifest == manifest
        assert reader.n_windows == 0
        assert reader.rows(slice(None)).windows == []


def test_names_that_break_lines_are_kept_as_fields(tmp_path):
    rows = random_rows([("chr1", 0)] * 3, 4)
    names = ["a\tb\0", "", "β\udc80"]
    windows = [
        type(w)(w.chrom, w.start, w.end, n, w.strand, w.index)
        for w, n in zip(rows.windows, names, strict=True)
    ]
    odd = ArchiveRows(windows, rows.one_hot, rows.hypothetical, rows.accounting, rows.n_unknown)
    with ArchiveReader(write_archive(tmp_path / "run.h5", odd)) as reader:
        assert [w.name for w in reader.windows(slice(None))] == ["a_b_", ".", "β_"]


def test_an_interrupted_archive_leaves_nothing(tmp_path, rows):
    def interrupted():
        with ArchiveWriter(
            tmp_path / "run.h5", window_length=20, target_names=["t"] * rows.n_targets
        ) as writer:
            writer.append(rows)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert list(tmp_path.iterdir()) == []


def test_an_archive_that_is_not_finished_gets_no_name(tmp_path):
    with (
        pytest.raises(RuntimeError, match=r"without a call of finish\(\)"),
        ArchiveWriter(tmp_path / "run.h5", window_length=4, target_names=["t"]),
    ):
        pass

    assert list(tmp_path.iterdir()) == []


def test_errors_of_the_reading_side_are_not_blamed_on_the_archive(tmp_path):
    with (
        pytest.raises(FileNotFoundError, match="genome"),
        ArchiveWriter(tmp_path / "run.h5", window_length=4, target_names=["t"]),
    ):
        raise FileNotFoundError("genome.fa")


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_contribution_that_is_not_finite_is_refused(tmp_path, value):
    rows = random_rows([("chr1", 0), ("chr2", 5)], 4)
    rows.hypothetical[0, 1, 2, 3] = value

    with pytest.raises(OutputError) as caught:
        write_archive(tmp_path / "run.h5", rows)

    assert str(caught.value) == (
        f"{tmp_path / 'run.h5'}: the contributions of chr2:5-9 (peak_1) hold NaN or infinity; "
        "check the model's weights, or use --dtype float64"
    )


def test_a_contribution_too_large_for_the_type_is_refused(tmp_path):
    rows = random_rows([("chr1", 0)], 4)
    rows.hypothetical[0, 0, 0, 0] = 70_000

    with pytest.raises(
        OutputError, match=r"chr1:0-4 \(peak_0\) is too large for float16; archive in a wider type"
    ):
        write_archive(tmp_path / "run.h5", rows, dtype="float16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_unknown": np.zeros(3)}, r"n_unknown has shape \(3,\), not \(2,\)"),
        ({"one_hot": np.zeros((2, 4, 5), np.uint8)}, "hypothetical has shape"),
        ({"accounting": {}}, "the accounting has no column 'score'"),
    ],
)
def test_rows_whose_shapes_disagree_are_a_mistake(change, message):
    rows = random_rows([("chr1", 0), ("chr2", 5)], 4)
    fields = {
        name: getattr(rows, name)
        for name in ("windows", "one_hot", "hypothetical", "accounting", "n_unknown")
    }

    with pytest.raises(ValueError, match=message):
        ArchiveRows(**{**fields, **change})


def test_a_chromosome_without_a_size_is_a_mistake(tmp_path):
    with pytest.raises(ValueError, match="no size is given for chromosome 'chr1'"):
        write_archive(tmp_path / "run.h5", random_rows([("chr1", 0)], 4), sizes={"chr2": 5})


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_a_full_disk_is_one_line_and_leaves_nothing(tmp_path, share):
    # In a process of its own: a limit on the size of files stands for the disk, and HDF5 keeps the file open.
    whole = (
        write_archive(tmp_path / "whole.h5", random_rows(random_places(300), 500, zero_share=0))
        .stat()
        .st_size
    )
    folder = tmp_path / "full"
    folder.mkdir()
    code = f"""
        from helpers.archives import *
        from sparselrp_cli.errors import OutputError
        try:
            write_archive({str(folder / "run.h5")!r}, random_rows(random_places(300), 500, zero_share=0))
        except OutputError as error:
            print(error)
    """

    def limited():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(whole * share), resource.RLIM_INFINITY))

    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        preexec_fn=limited,
        env={"PYTHONPATH": ":".join(sys.path)},
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == (
        f"{folder / 'run.h5'} can't be written: the file grew beyond the size allowed here; "
        "raise the limit, or write elsewhere\n"
    )
    assert list(folder.iterdir()) == []


def test_a_file_that_is_not_there_is_named(tmp_path):
    with (
        pytest.raises(OutputError, match=r"no.h5: no such file; give the PREFIX.h5 of a run"),
        ArchiveReader(tmp_path / "no.h5"),
    ):
        pass


def test_a_file_that_is_no_hdf5_is_named(tmp_path):
    (tmp_path / "text.h5").write_text("chr1\t1\t2\n")

    with (
        pytest.raises(OutputError, match=r"text.h5 isn't an HDF5 file, or is cut off"),
        ArchiveReader(tmp_path / "text.h5"),
    ):
        pass


def test_an_archive_that_is_cut_off_is_named(tmp_path, path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])

    with pytest.raises(OutputError, match="isn't an HDF5 file, or is cut off") as caught, ArchiveReader(path):
        pass

    assert "\n" not in str(caught.value)


def test_an_hdf5_file_of_another_tool_is_told_apart(tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["hyp_scores"] = np.zeros((1, 4, 4))

    with (
        pytest.raises(OutputError, match=r"other.h5 isn't a sparselrp archive"),
        ArchiveReader(tmp_path / "other.h5"),
    ):
        pass


def set_version(file):
    file.attrs["schema_version"] = 5


def set_earlier_version(file):
    file.attrs["schema_version"] = 1


def drop_scores(file):
    del file["hyp_scores"]


def shorten_starts(file):
    file["coords_start"].resize((5,))


def break_targets(file):
    file.attrs["target_names"] = "[1"


def add_chrom(file):
    del file["chrom_names"]
    file["chrom_names"] = ["a"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (set_version, r"has schema version 5, and this version reads up to 4; install a newer sparselrp"),
        (set_earlier_version, "has schema version 1, from an earlier sparselrp; copy it again, or make"),
        (drop_scores, "has no dataset 'hyp_scores'; copy it again"),
        (shorten_starts, r"dataset 'coords_start' has shape \(5,\), not \(600,\)"),
        (break_targets, "attribute 'target_names' is damaged"),
        (add_chrom, "chromosome names and sizes differ in number"),
    ],
)
def test_a_damaged_archive_says_what_is_wrong(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)

    with pytest.raises(OutputError, match=message), ArchiveReader(path):
        pass


def damage(path, dataset, row, value):
    with h5py.File(path, "r+") as file:
        file[dataset][row] = value


@pytest.mark.parametrize(
    ("dataset", "value", "message"),
    [
        ("coords_chrom", 9, "a window is on no known chromosome"),
        ("coords_end", 9, "a window doesn't span 20 bp"),
    ],
)
def test_coordinates_that_do_not_fit_are_told(path, dataset, value, message):
    damage(path, dataset, 3, value)

    with ArchiveReader(path) as reader, pytest.raises(OutputError, match=message):
        _ = reader.coordinates


def test_bytes_that_cannot_be_unpacked_are_told(path):
    with h5py.File(path) as file:
        info = file["input_seqs"].id.get_chunk_info(0)
    content = bytearray(path.read_bytes())
    content[info.byte_offset : info.byte_offset + info.size] = b"\xff" * info.size
    path.write_bytes(content)

    with (
        ArchiveReader(path) as reader,
        pytest.raises(OutputError, match=r"run.h5 is damaged \(.*\); copy it again"),
    ):
        reader.read(slice(0, 1))
