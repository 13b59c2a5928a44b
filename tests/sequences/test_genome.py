"""Random access to a genome, and its index."""

import errno
import gzip
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_fasta_records import bgzipped

from sparselrp_cli.errors import InputError
from sparselrp_cli.files import atomic
from sparselrp_cli.files.atomic import own
from sparselrp_cli.sequences import genome_index
from sparselrp_cli.sequences import text as text_module
from sparselrp_cli.sequences.genome import Genome

RNG = np.random.default_rng(5)
CHROMS = {
    name: bytes(RNG.choice(np.frombuffer(b"ACGTNacgt", np.uint8), size))
    for name, size in (("chr2", 997), ("chr10", 60), ("chrM", 1), ("chr1", 130_000))
}


def text(chroms: dict[str, bytes] = CHROMS, width: int = 60, end: bytes = b"\n") -> bytes:
    lines = []
    for name, letters in chroms.items():
        lines.append(b">" + name.encode() + b" some words")
        lines.extend(letters[at : at + width] for at in range(0, len(letters), width))
    return end.join([*lines, b""])


CUT = "genome.fa: has no bgzip end marker, so it may be cut off; get it again, or pack it with bgzip"
PACKS: dict[str, Callable[[bytes], bytes]] = {
    "genome.fa": bytes,
    "genome.fa.gz": bgzipped,
    "plain_gzip.fa.gz": gzip.compress,
    "bgzip_without_suffix": bgzipped,
    "plain_with_suffix.gz": bytes,
}


def write(folder: Path, content: bytes, name: str = "genome.fa") -> str:
    path = folder / name
    path.write_bytes(content)
    return str(path)


@pytest.fixture(scope="module", params=list(PACKS))
def packed(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Genome]:
    path = write(tmp_path_factory.mktemp("genome"), PACKS[request.param](text()), request.param)
    with Genome(path) as genome:
        yield genome


def test_chromosomes_are_in_the_order_of_the_file(packed: Genome) -> None:
    assert list(packed.chrom_sizes.items()) == [(name, len(letters)) for name, letters in CHROMS.items()]


@given(st.sampled_from(list(CHROMS)), st.integers(-100, 130_100), st.integers(0, 400))
def test_a_stretch_is_that_of_a_chromosome_between_two_seas_of_n(
    packed: Genome, chrom: str, start: int, size: int
) -> None:
    known = CHROMS[chrom]
    expected = bytes(known[i] if 0 <= i < len(known) else ord("N") for i in range(start, start + size))
    assert packed.fetch(chrom, start, start + size) == expected


def test_a_stretch_may_start_at_any_base_around_the_border_of_a_bgzip_block(tmp_path: Path) -> None:
    content, known = text(), CHROMS["chr1"]
    offset = content.index(b">chr1 ")
    with Genome(write(tmp_path, bgzipped(content), "genome.fa.gz")) as genome:
        for border in range(1 << 16, len(content), 1 << 16):
            near = (border - offset) * 60 // 61
            for start in range(near - 100, near + 100):
                assert genome.fetch("chr1", start, start + 5) == known[start : start + 5]


def test_line_ends_of_windows_do_not_matter(tmp_path: Path) -> None:
    with Genome(write(tmp_path, text(end=b"\r\n"))) as genome:
        assert genome.fetch("chr2", 0, 997) == CHROMS["chr2"]


def test_a_pipe_is_read_as_a_genome(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=lambda: pipe.write_bytes(gzip.compress(text())))
    writer.start()
    with Genome(str(pipe)) as genome:
        assert genome.fetch("chr1", 5, 500) == CHROMS["chr1"][5:500]
    writer.join()


def test_a_decompressed_copy_is_removed_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    with Genome(write(tmp_path, gzip.compress(text()), "genome.fa.gz")):
        assert list(temporary.iterdir())
    assert not list(temporary.iterdir())


@pytest.mark.parametrize(("name", "indices"), [("genome.fa", [".fai"]), ("genome.fa.gz", [".fai", ".gzi"])])
def test_only_the_index_is_left_beside_the_genome_and_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, indices: list[str]
) -> None:
    path = write(tmp_path, PACKS[name](text()), name)
    with Genome(path) as genome:
        sizes = genome.chrom_sizes
    assert sorted(p.name for p in tmp_path.iterdir()) == [name, *(name + suffix for suffix in indices)]
    monkeypatch.setattr(genome_index, "_built", lambda *_: pytest.fail("the index was made again"))
    with Genome(path) as genome:
        assert genome.chrom_sizes == sizes


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
@pytest.mark.parametrize("size", [50, 100_000], ids=["of a small file", "of a large file"])
def test_an_index_that_does_not_fit_is_made_again_even_if_it_is_newer(
    tmp_path: Path, name: str, size: int
) -> None:
    other = {"chr2": b"ACGT" * 20, "chr1": b"GGCC" * size}
    path = write(tmp_path, PACKS[name](text(other)), name)
    with Genome(path):
        pass
    write(tmp_path, PACKS[name](text()), name)
    for index in tmp_path.glob("*.?[az]i"):
        os.utime(index, (2e9, 2e9))
    with Genome(path) as genome:
        assert genome.fetch("chr1", 0, 130_000) == CHROMS["chr1"]


def test_an_index_of_headers_with_a_space_before_the_name_is_used_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, b"> chr1 words\nACGT\n>\tchr2\nGG\n")
    with Genome(path) as genome:
        sizes = genome.chrom_sizes
    monkeypatch.setattr(genome_index, "_built", lambda *_: pytest.fail("the index was made again"))
    with Genome(path) as genome:
        assert genome.chrom_sizes == sizes == {"chr1": 4, "chr2": 2}


def test_an_index_older_than_the_genome_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path, text())
    with Genome(path):
        pass
    index = Path(path + ".fai")
    os.utime(index, (1, 1))
    with Genome(path):
        pass
    assert index.stat().st_mtime > 1


def test_a_damaged_index_is_made_again(tmp_path: Path) -> None:
    path = write(tmp_path, text())
    Path(path + ".fai").write_text("not an index\n")
    with Genome(path) as genome:
        assert genome.fetch("chr10", 0, 60) == CHROMS["chr10"]


def test_a_disk_without_room_for_the_index_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    message = r"^genome\.fa: its index can't be made \(no space left on device\); free some space"
    path = write(tmp_path, text())
    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(InputError, match=message), Genome(path):
        pass


@pytest.mark.parametrize(
    ("number", "remedy"),
    [(errno.EIO, "check the disk"), (errno.ENOSPC, "free some space"), (errno.EDQUOT, "free some space")],
)
def test_a_disk_that_fails_before_the_index_is_written_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, remedy: str
) -> None:
    def failing(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    message = rf"^genome\.fa: its index can't be made \({os.strerror(number).lower()}\); {remedy}, or index"
    path = write(tmp_path, text())
    monkeypatch.setattr("tempfile.TemporaryFile", failing)
    with pytest.raises(InputError, match=message), Genome(path):
        pass
    assert [p.name for p in tmp_path.iterdir()] == ["genome.fa"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT])
def test_a_folder_that_is_not_ours_to_write_is_said_and_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, number: int
) -> None:
    def refusing(**_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = write(tmp_path, text())
    monkeypatch.setattr("tempfile.TemporaryFile", refusing)
    with caplog.at_level("INFO", "sparselrp"), Genome(path) as genome:
        assert genome.fetch("chr2", 10, 20) == CHROMS["chr2"][10:20]
    assert caplog.messages == [f"{tmp_path} can't be written: the index is made for this run only"]


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_a_folder_that_cannot_be_written_is_fine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(genome_index, "_is_writable", lambda folder: False)
    path = write(tmp_path, PACKS[name](text()), name)
    with Genome(path) as genome:
        assert genome.fetch("chr2", 10, 20) == CHROMS["chr2"][10:20]
    assert [p.name for p in tmp_path.iterdir()] == [name]


def test_what_a_killed_job_left_of_an_index_goes_with_the_next_one(tmp_path: Path) -> None:
    path = write(tmp_path, text())
    left, held = (tmp_path / f".{digit * 16}-genome.fa.fai" for digit in "ab")
    left.write_text("half")
    with own(held), Genome(path):
        assert sorted(p.name for p in tmp_path.iterdir()) == [held.name, "genome.fa", "genome.fa.fai"]


def test_an_index_that_another_job_looks_at_before_it_is_locked_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one holds it for a moment, finds nobody at it, and removes it."""
    path, looked_at = write(tmp_path, text()), []
    lock, write_bytes = atomic._lock, Path.write_bytes

    def locked_by_another(descriptor: int) -> bool:
        looked_at.append(descriptor)
        return len(looked_at) > 1 and lock(descriptor)

    def cleared_by_another(written: Path, content: bytes) -> None:
        write_bytes(written, content)
        genome_index._clear([tmp_path / "genome.fa.fai"])

    monkeypatch.setattr(atomic, "_lock", locked_by_another)
    monkeypatch.setattr(Path, "write_bytes", cleared_by_another)
    with Genome(path) as genome:
        assert genome.fetch("chr2", 10, 20) == CHROMS["chr2"][10:20]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["genome.fa", "genome.fa.fai"]


def test_without_locks_what_a_killed_job_left_of_an_index_goes_an_hour_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_locks(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    path = write(tmp_path, text())
    old, new = (tmp_path / f".{digit * 16}-genome.fa.fai" for digit in "ab")
    for left in (old, new):
        left.write_text("half")
    os.utime(old, (1, 1))
    monkeypatch.setattr("fcntl.flock", no_locks)
    with Genome(path):
        pass
    assert sorted(p.name for p in tmp_path.iterdir()) == [new.name, "genome.fa", "genome.fa.fai"]


@pytest.mark.parametrize("name", ["genome.fa", "genome.fa.gz"])
def test_jobs_that_start_together_all_read_the_genome(tmp_path: Path, name: str) -> None:
    path = write(tmp_path, PACKS[name](text()), name)

    def job(_: int) -> bytes:
        with Genome(path) as genome:
            return genome.fetch("chr1", 100, 200)

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(job, range(24))) == {CHROMS["chr1"][100:200]}


@pytest.mark.parametrize(
    ("chrom", "known", "message"),
    [
        ("chr1", ["1", "2"], "'chr1' is not in genome.fa; it has '1'"),
        ("1", ["chr1"], "'1' is not in genome.fa; it has 'chr1'"),
        ("MT", ["chrM", "chr1"], "'MT' is not in genome.fa; it has 'chrM'"),
        ("CHRX", ["chrX"], "'CHRX' is not in genome.fa; it has 'chrX'"),
        ("NC_000001.11", ["a", "b"], "'NC_000001.11' is not in genome.fa; it has 'a', 'b'"),
        ("x", ["a", "b", "c", "d"], "'x' is not in genome.fa; it has 'a', 'b', 'c', ..."),
    ],
)
def test_a_chromosome_that_is_missing_is_explained_by_those_that_are_there(
    tmp_path: Path, chrom: str, known: list[str], message: str
) -> None:
    with Genome(write(tmp_path, text(dict.fromkeys(known, b"ACGT")))) as genome:
        assert genome.explain_unknown(chrom) == message


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bgzipped(text())[:-3000], CUT),
        (gzip.compress(text(), mtime=0)[:-9], "genome.fa: the gzip file is cut off; get it again"),
        (b"PK\x03\x04" + bytes(20), "genome.fa: a zip file; unzip it first"),
    ],
)
def test_what_is_no_genome_is_refused_in_one_line_and_leaves_nothing_behind(
    tmp_path: Path, content: bytes, message: str
) -> None:
    path = write(tmp_path, content)
    with pytest.raises(InputError) as caught, Genome(path):
        pass
    assert str(caught.value) == message
    assert [p.name for p in tmp_path.iterdir()] == ["genome.fa"]


def test_a_missing_genome_and_a_folder_are_refused(tmp_path: Path) -> None:
    with (
        pytest.raises(InputError, match=r"none\.fa: no such file; check the path$"),
        Genome(str(tmp_path / "none.fa")),
    ):
        pass
    with pytest.raises(InputError, match=r"a folder; name a file in it$"), Genome(str(tmp_path)):
        pass


def test_a_protein_genome_is_refused_where_it_is_read(tmp_path: Path) -> None:
    with Genome(write(tmp_path, b">p\nACGTACMEF\n")) as genome:
        message = r"^genome\.fa p:2-9 position 6: 'E' is no nucleotide; a protein\?$"
        with pytest.raises(InputError, match=message):
            genome.fetch("p", 2, 20)


def test_a_genome_cut_off_under_the_reader_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path, text())
    with Genome(path) as genome:
        write(tmp_path, text()[:2000])
        with pytest.raises(InputError, match=r"chr1 ends before 100000; the file was cut off or changed"):
            genome.fetch("chr1", 99_000, 100_000)


def test_a_gzip_file_that_unpacks_without_end_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_module, "_BOMB_BYTES", 1000)
    path = write(tmp_path, gzip.compress(b">a\n" + b"A" * 10_000_000), "genome.fa.gz")
    with pytest.raises(InputError, match=r"genome\.fa\.gz: unpacks to over 100 times its size"), Genome(path):
        pass
