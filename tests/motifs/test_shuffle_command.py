"""`sparselrp shuffle`: which windows are shuffled, what is kept of them, and what is refused."""

import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from helpers.archives import random_places, random_rows, write_archive

from sparselrp_cli.cli.main import run
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.sequences.shuffling import shuffle_dinucleotides

LENGTH = 60


def archive_of(path: Path, n: int) -> Path:
    """An archive of n windows, a fifth of whose bases is unknown."""
    return write_archive(path, random_rows(random_places(n), LENGTH))


def windows_of(archive: Path) -> list[bytes]:
    """The letters of every window, found base by base."""
    with ArchiveReader(archive) as reader:
        one_hot, _ = reader.read(slice(None))
    found = []
    for window in one_hot:
        letters = ["N"] * LENGTH
        for base, position in zip(*window.nonzero(), strict=True):
            letters[position] = "ACGT"[base]
        found.append("".join(letters).encode())
    return found


def shuffle(*arguments: object) -> int:
    return run(["shuffle", *map(str, arguments)])


def records(path: Path) -> list[bytes]:
    """Sequences of a FASTA of one line each, whose names have to be numbers in order."""
    lines = path.read_bytes().splitlines()
    assert lines[::2] == [b">shuffled_%d" % number for number in range(len(lines) // 2)]
    return lines[1::2]


def dinucleotides(sequence: bytes) -> Counter[tuple[int, int]]:
    return Counter(pairwise(sequence))


def test_every_window_keeps_its_ends_and_the_count_of_every_dinucleotide(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 320)
    assert shuffle(archive, "-o", tmp_path / "bg.fa") == 0
    windows, shuffled = windows_of(archive), records(tmp_path / "bg.fa")
    assert len(shuffled) == len(windows)
    for window, other in zip(windows, shuffled, strict=True):
        assert dinucleotides(other) == dinucleotides(window)
        assert (other[0], other[-1]) == (window[0], window[-1])
        assert other != window


def test_an_unknown_base_stays_unknown(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 320)
    shuffle(archive, "-o", tmp_path / "bg.fa")
    windows, shuffled = windows_of(archive), records(tmp_path / "bg.fa")
    assert min(window.count(b"N") for window in windows) > 0
    assert [s.count(b"N") for s in shuffled] == [w.count(b"N") for w in windows]


def test_a_sequence_depends_on_the_seed_its_number_and_its_window_only(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 320)
    shuffle(archive, "-o", tmp_path / "bg.fa", "--seed", 3)
    wanted = [shuffle_dinucleotides(window, 3, number) for number, window in enumerate(windows_of(archive))]
    assert records(tmp_path / "bg.fa") == wanted


def test_equal_seeds_give_equal_bytes_and_others_give_others(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 5)
    files = {name: tmp_path / f"{name}.fa" for name in ("first", "again", "other")}
    for name, path in files.items():
        assert shuffle(archive, "-o", path, "--seed", 8 if name == "other" else 7) == 0
    first, again, other = (path.read_bytes() for path in files.values())
    assert first == again
    assert first != other


def test_few_windows_are_shuffled_several_times_each_in_a_different_order(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 7)
    shuffle(archive, "-o", tmp_path / "bg.fa")
    windows, shuffled = windows_of(archive), records(tmp_path / "bg.fa")
    assert len(shuffled) == 301, "the first multiple of 7 from 300 on"
    for number, sequence in enumerate(shuffled):
        assert dinucleotides(sequence) == dinucleotides(windows[number % 7])
    assert len(set(shuffled)) == len(shuffled)


def test_many_windows_are_thinned_out_evenly(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 1000)
    shuffle(archive, "-o", tmp_path / "bg.fa", "--windows", 400)
    windows, shuffled = windows_of(archive), records(tmp_path / "bg.fa")
    assert len(shuffled) == 400
    # Two of every five.
    kept = [row for row in range(1000) if row % 5 in (0, 2)]
    assert [dinucleotides(s) for s in shuffled] == [dinucleotides(windows[row]) for row in kept]


@pytest.mark.parametrize(
    ("n", "place", "message"),
    [
        (0, "bg.fa", "a.h5 has no window; there is nothing to find motifs in"),
        (3, "nowhere/bg.fa", "nowhere/bg.fa can't be written: the folder doesn't exist; create it first"),
    ],
)
def test_what_cant_be_done_is_one_line_and_leaves_nothing(tmp_path, capsys, n, place, message):
    archive = archive_of(tmp_path / "a.h5", n)
    assert shuffle(archive, "-o", tmp_path / place) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("sparselrp: error: ")
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["a.h5"]


def test_a_file_that_is_no_archive_is_refused_and_the_fasta_stays_as_it_was(tmp_path, capsys):
    (tmp_path / "a.h5").write_text("ACGT")
    (tmp_path / "bg.fa").write_text(">kept\nACGT\n")
    assert shuffle(tmp_path / "a.h5", "-o", tmp_path / "bg.fa") == 1
    assert "a.h5 isn't an HDF5 file" in capsys.readouterr().err
    assert (tmp_path / "bg.fa").read_text() == ">kept\nACGT\n"


def test_quiet_says_nothing(tmp_path, capsys):
    archive = archive_of(tmp_path / "a.h5", 2)
    shuffle(archive, "-o", tmp_path / "bg.fa", "-q")
    assert capsys.readouterr() == ("", "")
    shuffle(archive, "-o", tmp_path / "bg.fa")
    assert capsys.readouterr().err == f"sparselrp: wrote {tmp_path / 'bg.fa'}, 300 sequences\n"


def test_torch_isnt_loaded(tmp_path):
    archive = archive_of(tmp_path / "a.h5", 2)
    code = (
        "import sys; from sparselrp_cli.cli.main import run; code = run(sys.argv[1:]);"
        "sys.exit('torch was imported' if 'torch' in sys.modules else code)"
    )
    command = [sys.executable, "-c", code, "shuffle", archive, "-o", tmp_path / "bg.fa"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_archive_is_not_written_over(tmp_path, capsys):
    archive = archive_of(tmp_path / "run.h5", 3)
    before = archive.read_bytes()
    (tmp_path / "link.fa").symlink_to(archive)
    for output in (archive, tmp_path / "link.fa"):
        assert shuffle(archive, "-o", output) == 1
        assert "is the archive that is read, and would be lost; choose another" in capsys.readouterr().err
    assert run(["report", str(archive), "-o", str(archive)]) == 1
    assert "is the archive that is read" in capsys.readouterr().err
    assert archive.read_bytes() == before


def test_an_archive_is_not_its_own_background(tmp_path, capsys):
    archive = archive_of(tmp_path / "run.h5", 3)
    assert run(["motifs", str(archive), "-o", str(tmp_path / "out"), "--background", str(archive)]) == 1
    assert "run.h5 is the archive itself; a background is of windows without sites" in capsys.readouterr().err
    assert {path.name for path in tmp_path.iterdir()} == {"run.h5"}
