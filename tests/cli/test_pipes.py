"""What comes from a pipe is read once, or refused with what to do instead."""

import os
import threading
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from helpers.archives import random_rows, write_archive
from helpers.commands import command, error_line
from helpers.tiny_net import MODEL


@contextmanager
def piped(path: Path, content: bytes):
    """Name a pipe through which content comes once, if anybody reads it."""
    os.mkfifo(path)

    def write():
        with suppress(BrokenPipeError):
            path.write_bytes(content)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    try:
        yield path
    finally:
        # Whoever waits for a reader is let go.
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        thread.join(timeout=20)
        os.close(reader)


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "in.h5", random_rows([("chr1", 3), ("chr2", 8)], 8))


def archives_of(path, folder):
    out = folder / "out"
    return {
        "export": ("export", path, "-o", out),
        "merge": ("merge", path, "-o", out),
        "motifs": ("motifs", path, "-o", out, "--null", "permuted"),
        "report": ("report", path, "-o", folder / "out.html"),
        "plot": ("plot", path, "chr1:1-9", "-o", folder / "out.svg"),
        "compare": ("compare", path, folder / "in.h5", "-o", out),
        "evaluate": ("evaluate", path),
        "shuffle": ("shuffle", path, "-o", folder / "out.fa"),
    }


@pytest.mark.parametrize(
    "name", ["export", "merge", "motifs", "report", "plot", "compare", "evaluate", "shuffle"]
)
def test_an_archive_cannot_be_a_pipe_and_that_is_said(tmp_path, archive, capsys, name):
    with piped(tmp_path / "pipe.h5", archive.read_bytes()) as path:
        assert command(*archives_of(path, tmp_path)[name]) == 1
    said = error_line(capsys)
    assert "pipe.h5: a pipe, and an archive is read at random places; write it to a file first" in said


@pytest.mark.parametrize("option", ["--background", "--unpruned"])
def test_a_second_archive_cannot_be_a_pipe_either(tmp_path, archive, capsys, option):
    given = {
        "--background": ("motifs", archive, "-o", tmp_path / "out"),
        "--unpruned": ("report", archive, "-o", tmp_path / "out.html"),
    }[option]
    with piped(tmp_path / "pipe.h5", archive.read_bytes()) as path:
        assert command(*given, option, path) == 1
    assert "pipe.h5: a pipe, and an archive is read at random places" in error_line(capsys)


def test_a_composite_cannot_be_a_pipe(tmp_path, capsys):
    with piped(tmp_path / "c.toml", b'extends = "epsilon"') as path:
        assert command("inspect", MODEL, "--composite", path) == 2
    said = capsys.readouterr().err
    assert "c.toml' is a pipe, and a composite is read once for every model; write it to a file first" in said


@pytest.mark.parametrize("which", ["genome", "vcf"])
def test_what_variants_reads_several_times_cannot_be_a_pipe(tmp_path, genome, capsys, which):
    vcf = tmp_path / "calls.vcf"
    vcf.write_text("#CHROM\tPOS\tID\tREF\tALT\nchr1\t61\t.\tA\tC\n")
    content = {"genome": genome, "vcf": vcf}[which].read_bytes()
    with piped(tmp_path / "pipe", content) as path:
        files = (path, genome) if which == "vcf" else (vcf, path)
        assert command("variants", *files, "-m", MODEL, "-t", "0", "-o", tmp_path / "out") == 1
    said = error_line(capsys)
    assert "pipe: the" in said
    assert "is read several times and can't be a pipe; write it to a file" in said


@pytest.mark.parametrize("option", ["genome", "regions"])
def test_a_genome_and_its_regions_are_read_once(tmp_path, genome, peaks, option):
    common = ("-m", MODEL, "-t", "0", "-q")
    assert command("attribute", genome, "-r", peaks, *common, "-o", tmp_path / "file") == 0
    content = {"genome": genome, "regions": peaks}[option].read_bytes()
    with piped(tmp_path / "pipe", content) as path:
        inputs = (path, "-r", peaks) if option == "genome" else (genome, "-r", path)
        assert command("attribute", *inputs, *common, "-o", tmp_path / "piped") == 0
    for ending in (".bw", ".windows.tsv"):
        assert (tmp_path / f"piped{ending}").read_bytes() == (tmp_path / f"file{ending}").read_bytes()


def test_sites_and_a_motif_are_read_once_for_all_archives(tmp_path, archive, capsys):
    other = tmp_path / "other.h5"
    other.write_bytes(archive.read_bytes())
    sites = tmp_path / "sites.bed"
    sites.write_text("chr1\t4\t9\nchr2\t9\t12\n")
    motif = tmp_path / "m.jaspar"
    motif.write_text(">M\nA [9 1 1]\nC [1 9 1]\nG [1 1 1]\nT [1 1 9]\n")
    for option, file in (("--sites", sites), ("--motif", motif)):
        given = ("evaluate", archive, other, "--json", *(("--min-bits", "-9") if option == "--motif" else ()))
        assert command(*given, option, file) == 0
        expected = capsys.readouterr().out
        with piped(tmp_path / f"pipe{option}", file.read_bytes()) as path:
            assert command(*given, option, path) == 0
        assert capsys.readouterr().out == expected
