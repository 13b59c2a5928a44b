"""The journal keeps what is whole, whatever happened to it, and the blocks of any batches."""

import os
import random
import subprocess
import sys

import numpy as np
import pytest
from helpers.archives import random_places, random_rows
from hypothesis import given, settings
from hypothesis import strategies as st

from sparselrp_cli.errors import OutputError
from sparselrp_cli.files.lock import locked
from sparselrp_cli.outputs.archive import ArchiveWriter
from sparselrp_cli.outputs.archive.blocks import ArchiveShape, Packer
from sparselrp_cli.outputs.tables import read_skipped
from sparselrp_cli.runs.journal import Journal
from sparselrp_cli.runs.recording import Done, Recorder, State, read_blocks, read_state

RECORDS = [({"a": [1, "x"]}, (b"one", b"two")), ({}, ()), ({"b": None}, (bytes(3000),))]
SIZES = {"chr1": 60, "chr2": 60, "chr10": 60}


def read(path):
    with Journal(path) as journal:
        return [(header, body) for header, body in journal.records()]


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "run.partial") as opened:
        for header, parts in RECORDS:
            opened.append(header, parts)
    return tmp_path / "run.partial"


WHOLE = [(header, b"".join(parts)) for header, parts in RECORDS]


def test_records_come_back_in_their_order(journal):
    assert read(journal) == WHOLE


def test_cut_off_anywhere_it_keeps_the_records_before(journal):
    content = journal.read_bytes()
    seen = set()
    for end in range(len(content)):
        journal.write_bytes(content[:end])
        found = read(journal)
        assert found == WHOLE[: len(found)]
        seen.add(len(found))
        with Journal(journal) as opened:
            opened.append({"new": 1})
        assert read(journal) == [*WHOLE[: len(found)], ({"new": 1}, b"")]
    assert seen == {0, 1, 2}


def test_a_changed_bit_ends_what_is_kept_or_is_an_error(journal):
    content = journal.read_bytes()
    chance = random.Random(0)
    for _ in range(300):
        damaged = bytearray(content)
        at = chance.randrange(len(content))
        damaged[at] ^= 1 << chance.randrange(8)
        journal.write_bytes(damaged)
        try:
            found = read(journal)
        except OutputError as error:
            assert "isn't the journal of a run" in str(error)  # noqa: PT017
        else:
            assert found == WHOLE[: len(found)]


def test_a_file_of_another_kind_is_left_alone(tmp_path):
    path = tmp_path / "run.partial"
    path.write_text("my notes")
    with (
        pytest.raises(
            OutputError, match=r"run\.partial isn't the journal of a run; move it away, or choose another"
        ),
        Journal(path),
    ):
        pytest.fail("the block ran")
    assert path.read_text() == "my notes"


def test_a_full_disk_leaves_it_as_it_was(tmp_path, monkeypatch):
    path = tmp_path / "run.partial"
    with Journal(path) as journal:
        journal.append({"a": 1})
        before = path.read_bytes()
        with monkeypatch.context() as patch:
            patch.setattr(
                os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left on device"))
            )
            with pytest.raises(OutputError, match=r"run\.partial can't be written: no space is left"):
                journal.append({"b": 2}, [bytes(100_000)])
        assert path.read_bytes() == before
        journal.append({"c": 3})
    assert [header for header, _ in read(path)] == [{"a": 1}, {"c": 3}]


def batches(rows, sizes):
    """Cut rows into batches of these sizes, with something skipped in each."""
    done, at = [], 0
    for number, size in enumerate(sizes):
        part = rows[at : at + size]
        done.append(Done(number, part if size else None, [("chr1", "0", "9", f"s{number}", ".", "why")], 1))
        at += size
    return done


@settings(max_examples=25)
@given(
    sizes=st.lists(st.integers(0, 400), min_size=1, max_size=6),
    stops=st.lists(st.integers(0, 6), max_size=3),
    n_targets=st.integers(1, 2),
)
def test_interrupted_between_any_batches_the_archive_is_the_same(tmp_path_factory, sizes, stops, n_targets):
    folder = tmp_path_factory.mktemp("journal")
    rows = random_rows(random_places(sum(sizes)), 30, n_targets=n_targets)
    shape = ArchiveShape(30, tuple(f"t{i}" for i in range(n_targets)))
    with Journal(folder / "run.partial") as journal:
        journal.append({"run": 1})
        for stop in [*sorted(stops), len(sizes)]:
            _, state = read_state(journal, 0)
            recorder = Recorder(journal, shape, folder / "run.h5", state)
            for done in batches(rows, sizes)[state.next_batch : max(stop, state.next_batch)]:
                recorder.add(done)
        recorder.finish()
        _, state = read_state(journal, 0)
        assert (state.n_rows, state.n_skipped, state.ambiguous) == (len(rows), len(sizes), len(sizes))
        assert state.complete
        assert state.first_reason == "why"
        found = list(read_blocks(journal, shape))
        names = [line[3] for _, lines in found for line in lines]
        assert names == [f"s{number}" for number in range(len(sizes))]
        with ArchiveWriter(folder / "run.h5", window_length=30, target_names=shape.target_names) as writer:
            for block, _ in found:
                if block is not None:
                    writer.write(block)
            writer.finish(SIZES, {})
    with ArchiveWriter(folder / "whole.h5", window_length=30, target_names=shape.target_names) as writer:
        writer.append(rows)
        writer.finish(SIZES, {})
    assert (folder / "run.h5").read_bytes() == (folder / "whole.h5").read_bytes()


def test_no_more_than_a_block_and_a_batch_are_done_again(tmp_path):
    rows = random_rows(random_places(2000), 30)
    shape = ArchiveShape(30, ("t",))
    with Journal(tmp_path / "run.partial") as journal:
        journal.append({})
        recorder = Recorder(journal, shape, tmp_path / "run.h5", State(0))
        for number, start in enumerate(range(0, 2000, 7)):
            recorder.add(Done(number, rows[start : start + 7]))
            _, state = read_state(journal, 0)
            done_again = min(2000, start + 7) - state.next_batch * 7
            assert done_again <= shape.block_rows + 7


@pytest.mark.parametrize("threads", [2, 3, 1000])
@pytest.mark.parametrize("n_rows", [1, 2, 300])
def test_a_block_is_the_same_bytes_on_any_number_of_threads(tmp_path, n_rows, threads):
    rows = random_rows(random_places(n_rows), 900, n_targets=2, spread=True)
    shape = ArchiveShape(900, ("a", "b"), spread=True)

    def chunks(number):
        packer = Packer(shape, tmp_path, threads=number)
        return [block.chunks for block in (*packer.add(rows), *packer.flush())]

    assert chunks(threads) == chunks(1)


@pytest.mark.parametrize("n_targets", [1, 3])
def test_a_block_gives_back_its_columns(tmp_path, n_targets):
    rows = random_rows(random_places(70), 12, n_targets=n_targets, spread=True)
    packer = Packer(ArchiveShape(12, tuple("abc"[:n_targets]), spread=True), tmp_path)
    assert not list(packer.add(rows))
    (block,) = packer.flush()
    np.testing.assert_array_equal(block.column("hyp_scores"), rows.hypothetical.swapaxes(2, 3))
    np.testing.assert_array_equal(block.column("input_seqs"), rows.one_hot.swapaxes(1, 2))
    np.testing.assert_array_equal(block.column("score"), rows.accounting["score"])
    np.testing.assert_array_equal(block.column("contribution_sd"), rows.spread["contribution_sd"])
    assert block.names == tuple(window.name for window in rows.windows)


def test_a_prefix_is_held_by_one_run_and_let_go_when_that_is_killed(tmp_path):
    prefix = tmp_path / "run"
    code = f"""
import sys, time
from pathlib import Path
from sparselrp_cli.files.lock import locked
with locked(Path({str(prefix)!r})):
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        message = rf"another run is writing .*run\.\* \(process {other.pid} on .+\); wait for it, or choose"
        with pytest.raises(OutputError, match=message), locked(prefix):
            pytest.fail("the block ran")
        with locked(tmp_path / "other"):
            pass
        other.kill()
        other.wait()
    with locked(prefix):
        assert len(list(tmp_path.iterdir())) == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", None),
        (b"chrom\tstart\tend\tname\tstrand\treason\nchr1\t1\n", "line 2: not a table of skipped regions"),
        (b"other\n", "line 1: not a table of skipped regions"),
        (b"\xff\xfe\n", "can't be read"),
    ],
)
def test_a_table_of_what_was_skipped_that_is_damaged_is_told(tmp_path, content, message):
    path = tmp_path / "run.skipped.tsv"
    path.write_bytes(content)
    if message is None:
        assert list(read_skipped(path)) == []
        return
    with pytest.raises(OutputError, match=message):
        list(read_skipped(path))
