"""Files made to fill the memory or to take for ever end in one line, in little memory."""

import gzip
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from helpers.commands import attribute
from helpers.tiny_net import MODEL

from hostile.packing import MB, packed, with_repeats
from sparselrp_cli.errors import InputError, OutputError
from sparselrp_cli.report.content import read_motifs
from sparselrp_cli.runs.journal import FRAME, LENGTH, MAGIC, Journal
from sparselrp_cli.runs.origin import command_of
from sparselrp_cli.sequences import regions, variants, vcf

MEMORY = 300 << 20
"""Bytes that reading may take besides what Python and its modules do."""
CHILD = """
import os, resource, signal, sys
from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats import read_motif_file
from sparselrp_cli.sequences.fasta import read_records
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.regions import read_regions
from sparselrp_cli.sequences.variants import read_variants

def genome(path):
    with Genome(path):
        pass

def read(reader, path):
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + int(sys.argv[1]),) * 2)
    try:
        for _ in readers[reader](path) or ():
            pass
    except InputError as error:
        print(error, flush=True)

readers = dict(regions=read_regions, records=read_records, genome=genome, variants=read_variants,
               motifs=read_motif_file)
for line in sys.stdin:
    if not (child := os.fork()):
        os.dup2(1, 2)  # What goes wrong is in the answer.
        signal.alarm(300)
        read(*line.rstrip("\\n").split("\\t"))
        sys.stdin.close()
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def reading() -> Iterator[subprocess.Popen[str]]:
    """A process that reads each file in a child whose memory is limited."""
    command = [sys.executable, "-c", CHILD, str(MEMORY)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        yield process
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


def read_within(reading: subprocess.Popen[str], reader: str, path: Path | str) -> str:
    """Read a file in a process whose memory is limited; give the one line it says."""
    assert reading.stdin is not None
    assert reading.stdout is not None
    print(reader, path, sep="\t", file=reading.stdin, flush=True)
    line, code = reading.stdout.readline(), reading.stdout.readline()
    assert code == "0\n", line
    return line.removesuffix("\n")


IDLE = "1000000 lines without content; check what wrote the file"
VCF = b"##fileformat=VCFv4.2\n#CHROM\tPOS\tID\tREF\tALT\n"
LONG_NAME = "a name of over 65536 letters; shorten it"
LONG_HEADER = "a header of over 524288 bytes; shorten it"
Parts = tuple[tuple[bytes, int], ...]
HOSTILE: dict[str, tuple[str, Parts, str]] = {
    "a VCF line of 30 million alleles": (
        "variants",
        ((VCF + b"chr1\t5\t.\tA\t", 1), (b"C,", 30 * MB), (b"C\t.\n", 1)),
        "line 3: REF and ALT have over 16 million letters",
    ),
    "a VCF line of 20,000 alleles": (
        "variants",
        ((VCF + b"chr1\t5\t.\tA\t", 1), (b"C,", 20_000), (b"C\n", 1)),
        "line 3: 20001 alternative alleles; at most 10000 are read",
    ),
    "a VCF line without an end": (
        "variants",
        ((VCF + b"chr1\t5\t.\tA\tC\t", 1), (b"0/0\t", 75 * MB)),
        "line 3: longer than 256 MiB",
    ),
    "a VCF ID of ten million letters": (
        "variants",
        ((VCF + b"chr1\t5\t", 1), (b"x", 10 * MB), (b"\tA\tC\n", 1)),
        f"line 3: {LONG_NAME}",
    ),
    "a BED of blank lines": ("regions", ((b"\n", 900 * MB),), f"line 1000001: {IDLE}"),
    "a BED of comments": ("regions", ((b"#\n", 450 * MB),), f"line 1000001: {IDLE}"),
    "a BED of blanks": ("regions", ((b" ", 900 * MB),), "line 1: longer than 16 MiB"),
    "BED names of 14 million letters": (
        "regions",
        ((b"chr1\t1\t2\t", 1), (b"x", 14 * MB), (b"\n", 1)) * 50,
        f"line 1: {LONG_NAME}",
    ),
    "BED chromosomes of 14 million letters": (
        "regions",
        ((b"x", 14 * MB), (b"\t1\t2\n", 1)),
        f"line 1: {LONG_NAME}",
    ),
    "BED numbers of 14 million digits": (
        "regions",
        ((b"chr1\t1", 1), (b"0", 14 * MB), (b"\t2\n", 1)),
        f"line 1: start '1{'0' * 99}' is not a whole number of bp",
    ),
    "a FASTA of blank lines": ("records", ((b"\n", 900 * MB),), f"line 1: {IDLE}"),
    "a FASTA header without an end": ("records", ((b">", 900 * MB),), f"line 1: {LONG_HEADER}"),
    "a FASTA header of many words": ("records", ((b"> ", 450 * MB),), f"line 1: {LONG_HEADER}"),
    "a FASTA name of 100,000 letters": (
        "records",
        ((b">", 1), (b"x", 100_000), (b"\nA\n", 1)),
        f"line 1: {LONG_NAME}",
    ),
    "a genome of blank lines": ("genome", ((b"\n", 900 * MB),), f"line 1: {IDLE}"),
    "a genome with a header without an end": (
        "genome",
        ((b">a\nA\n>", 1), (b"x", 900 * MB)),
        f"line 3: {LONG_HEADER}",
    ),
    "motifs that unpack without end": (
        "motifs",
        ((b">a\n1 0 0 0\n", 82 * MB),),
        "larger than 64 MiB; check that it is the right file",
    ),
    "a motif without an end": (
        "motifs",
        ((b">a\n", 1), (b"1 0 0 0\n", 8 * MB)),
        "line 1003: a matrix of over 1000 positions is no motif",
    ),
    "a row of a motif without an end": (
        "motifs",
        ((b">a\nA", 1), (b" 1", 30 * MB)),
        "line 2: longer than 1 MiB",
    ),
    "motifs without end": ("motifs", ((b">a\n1 0 0 0\n", 5_454_545),), "more than 100000 motifs"),
    "blank lines behind a motif": (
        "motifs",
        ((b">a\n1 0 0 0\n", 1), (b"\n", 60 * MB)),
        f"line 1000003: {IDLE}",
    ),
}


@pytest.mark.parametrize("repeats", [0, 1, 2, 7, 100])
@pytest.mark.parametrize("plain", [b"", b"A", b"chr1\t1\t2\n"])
def test_the_checksum_of_repeats_is_that_of_all_their_bytes(plain: bytes, repeats: int) -> None:
    assert with_repeats(zlib.crc32(b"before"), plain, repeats) == zlib.crc32(b"before" + plain * repeats)


LONG = {
    "motifs without end",
    "blank lines behind a motif",
    "a BED of comments",
    "a row of a motif without an end",
}
"""What takes half a second and more; others reach the same bounds in less."""


@pytest.mark.parametrize(
    "kind", [pytest.param(kind, marks=pytest.mark.slow) if kind in LONG else kind for kind in HOSTILE]
)
def test_a_file_that_unpacks_to_a_monster_ends_in_one_line(
    reading: subprocess.Popen[str], tmp_path: Path, kind: str
) -> None:
    reader, parts, message = HOSTILE[kind]
    path = tmp_path / "in.gz"
    path.write_bytes(packed(*parts))
    assert (
        read_within(reading, reader, path) == f"in.gz{' ' if message.startswith('line') else ': '}{message}"
    )


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        ("regions", "/dev/zero line 1: binary, not text"),
        ("records", "/dev/zero line 1: binary, not text"),
        ("genome", "/dev/zero line 1: binary, not text"),
        ("motifs", "/dev/zero: larger than 64 MiB; check that it is the right file"),
    ],
)
def test_a_device_that_never_ends_is_refused(
    reading: subprocess.Popen[str], reader: str, message: str
) -> None:
    assert read_within(reading, reader, "/dev/zero") == message


def test_a_line_of_many_samples_is_read_in_little_memory(
    reading: subprocess.Popen[str], tmp_path: Path
) -> None:
    """Only the first five of its columns are kept."""
    path = tmp_path / "in.vcf.gz"
    path.write_bytes(packed((VCF + b"chr1\t5\trs1\tA\tC", 1), (b"\t0/0", 60 * MB), (b"\nbad\n", 1)))
    assert read_within(reading, "variants", path).startswith("in.vcf.gz line 4: 1 column;")


def test_regions_that_unpack_to_much_more_than_regions_do_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(regions, "_BOMB_BYTES", 100_000)
    path = tmp_path / "in.bed.gz"
    path.write_bytes(gzip.compress(b"chr1\t1\t2\n" * 100_000, mtime=0))
    with pytest.raises(InputError, match=r"^in\.bed\.gz: unpacks to over 100 times its size"):
        list(regions.read_regions(str(path)))


@pytest.mark.parametrize("line", [b"\n", b"##contig=<ID=c>\n"])
def test_a_vcf_of_header_lines_is_refused_only_where_no_assembly_has_so_many(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: bytes
) -> None:
    monkeypatch.setattr(vcf, "_MOST_IDLE", 10)
    path = tmp_path / "in.vcf"
    path.write_bytes(line * 10 + b"chr1\t5\t.\tA\tC\n")
    assert len(list(variants.read_variants(str(path)))) == 1
    path.write_bytes(line * 11 + b"chr1\t5\t.\tA\tC\n")
    for read in (variants.read_variants, vcf.read_header):
        with pytest.raises(InputError, match=r"^in\.vcf line 11: 10 lines without content"):
            list(read(str(path)))


NESTED = b"[" * 100_000


def test_motifs_that_are_nested_deeply_are_no_record(tmp_path: Path) -> None:
    (tmp_path / "run.motifs.json").write_bytes(NESTED)
    with pytest.raises(InputError, match=r"run\.motifs\.json isn't JSON; give the PREFIX\.motifs\.json that"):
        read_motifs(tmp_path / "run.motifs.json")


@pytest.mark.parametrize(
    "content",
    [LENGTH.pack(len(NESTED)) + NESTED, LENGTH.pack(2) + b"{]"],
    ids=["nested", "no JSON"],
)
def test_a_journal_whose_sums_fit_but_not_its_records_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "run.partial"
    path.write_bytes(MAGIC + FRAME.pack(len(content), zlib.crc32(content)) + content)
    with (
        Journal(path) as journal,
        pytest.raises(OutputError, match=r"partial is damaged; begin anew with --restart"),
    ):
        list(journal.records())


def test_a_manifest_that_is_nested_deeply_names_no_command(tmp_path: Path, genome: Path, peaks: Path) -> None:
    given = (genome, "-r", peaks, "-m", MODEL, "-t", "0", "-q", "--formats", "h5", "-o", tmp_path / "run")
    assert attribute(*given) == 0
    assert command_of(tmp_path / "run.h5")
    (tmp_path / "run.manifest.json").write_bytes(NESTED)
    assert command_of(tmp_path / "run.h5") == []
