"""Variants: what a window with an allele reads, what of a VCF is refused, and what the command writes."""

import gzip
from pathlib import Path

import numpy as np
import pyBigWig
import pytest
import torch
from helpers.commands import command, table
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from sparselrp_cli.errors import InputError, Stopped
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.difference import Change, difference
from sparselrp_cli.runs import variants as module
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.one_hot import encode
from sparselrp_cli.sequences.variants import Variant, read_variants, why_not, window_sequence

WINDOW = 40
HEADER = "##fileformat=VCFv4.3\n#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\n"


class Net(nn.Module):
    """A small network on windows of 40 bp with two tasks."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(3)
        self.scan = nn.Conv1d(4, 8, 5, padding=2)
        self.head = nn.Linear(8 * WINDOW, 2)

    def forward(self, x):
        return self.head(torch.relu(self.scan(x)).flatten(1))


class Additive(nn.Module):
    """Every base has its own weight, so that relevance is known."""

    window = WINDOW

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(4)
        self.head = nn.Linear(4 * WINDOW, 1, bias=False)

    def forward(self, x):
        return self.head(x.flatten(1))


@pytest.fixture(scope="module")
def letters() -> str:
    return "".join(np.random.default_rng(1).choice(list("ACGT"), 300))


@pytest.fixture(scope="module")
def genome(tmp_path_factory, letters) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{letters.lower()}\n>chr2\n{'N' * 50}{letters[:50]}\n")
    return path


def vcf(folder: Path, *lines: str) -> Path:
    path = folder / "calls.vcf"
    path.write_text(HEADER + "".join("\t".join([*line.split(), ".", ".", "."]) + "\n" for line in lines))
    return path


def variants(*arguments: object) -> int:
    return command("variants", *arguments, "-q")


def other(base: str) -> str:
    return {"A": "C", "C": "G", "G": "T", "T": "A"}[base]


alleles = st.text("ACGT", min_size=1, max_size=8)


@given(st.integers(0, 290), st.integers(1, 8), alleles)
@settings(max_examples=200)
def test_a_window_with_the_alternative_is_the_edited_chromosome(genome, letters, start, n_ref, alt):
    ref = letters[start : start + n_ref]
    variant = Variant("chr1", start, ".", ref, alt)
    if ref == alt:
        return
    edited = letters[:start] + alt + letters[start + n_ref :]
    first = variant.changed_at - WINDOW // 2
    padded = "N" * max(-first, 0) + edited[max(first, 0) :] + "N" * WINDOW
    with Genome(str(genome)) as opened:
        assert why_not(variant, opened, WINDOW) == ""
        found = window_sequence(variant, "alt", opened, first, first + WINDOW).decode().upper()
        assert found == padded[:WINDOW]
        again = letters[:start] + variant.ref + letters[start + n_ref :]
        plain = window_sequence(variant, "ref", opened, first, first + WINDOW).decode().upper()
        assert plain == ("N" * max(-first, 0) + again[max(first, 0) :] + "N" * WINDOW)[:WINDOW]
    assert variant.removed != variant.inserted
    assert edited[variant.changed_at :][: len(variant.inserted)] == variant.inserted


@pytest.mark.parametrize(
    ("change", "alt", "expected"),
    [
        (Change(2, 1, 1), [1, 2, 9, 4, 5, 6], [0, 0, 6, 0, 0, 0]),
        (Change(2, 0, 2), [1, 2, 7, 8, 3, 4], [0, 15, 0, 0, 0, 0]),
        (Change(2, 2, 0), [1, 2, 5, 6, 70, 80], [0, 0, -3, -4, 0, 0]),
        (Change(2, 1, 2), [1, 2, 9, 10, 4, 5], [0, 0, 16, 0, 0, 0]),
        (Change(2, 2, 1), [1, 2, 9, 5, 6, 70], [0, 0, 6, -4, 0, 0]),
        (Change(0, 0, 1), [7, 1, 2, 3, 4, 5], [7, 0, 0, 0, 0, 0]),
        (Change(3, 3, 0), [1, 2, 3, 70, 80, 90], [0, 0, 0, -4, -5, -6]),
        (Change(3, 0, 3), [1, 2, 3, 7, 8, 9], [0, 0, 24, 0, 0, 0]),
    ],
)
def test_differences_lie_on_the_reference(change, alt, expected):
    assert difference([1, 2, 3, 4, 5, 6], alt, change).tolist() == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("chr1 11 . {10} <DEL>", "symbolic"),
        ("chr1 11 . {10} *", "another line"),
        ("chr1 11 . {10} .", "no alternative"),
        ("chr1 11 . {10} <NON_REF>", "no alternative"),
        ("chr1 11 . {10} {10}[chr2:60[", "breakend"),
        ("chr1 11 . {10} .{10}", "breakend"),
        ("chr1 11 . {10} R", "letters other than"),
        ("chr1 11 . {10} {10}", "equal"),
        ("chr1 12 . {10}{10} A", "is it of this assembly?"),
        ("chr2 3 . A C", "the genome has N"),
        ("chr3 11 . A C", "'chr3' is not in genome.fa"),
        ("1 11 . {10} C", "it has 'chr1'"),
        ("chr1 0 . A C", "beyond the ends"),
        ("chr1 301 . A C", "beyond the ends"),
        ("chr1 11 . {10} {10}" + "ACGT" * 6, "24 bp change"),
    ],
)
def test_what_cannot_be_explained_is_listed_with_its_reason(tmp_path, genome, letters, line, reason):
    given_line = line.replace("{10}{10}", "AA" if letters[11] != "A" else "CC").replace("{10}", letters[10])
    good = f"chr1 101 . {letters[100]} {other(letters[100])}"
    path = vcf(tmp_path, given_line, good)
    assert variants(path, genome, "-m", f"{__file__}:Additive", "-o", tmp_path / "run") == 0
    skipped = table(tmp_path / "run.skipped.tsv")
    assert len(skipped) == 1
    assert reason in skipped[0]["reason"]
    assert skipped[0]["alt"] == given_line.split()[4]
    assert len(table(tmp_path / "run.variants.tsv")) == 1
    assert variants(path, genome, "-m", f"{__file__}:Additive", "-o", tmp_path / "strict", "--strict") == 1


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("chr1\t11\t.\tA\n", "line 3: 4 columns"),
        ("chr1 11 . A C\n", "line 3: 1 column;"),
        ("chr1\televen\t.\tA\tC\n", "position 'eleven'"),
        ("chr1\t-5\t.\tA\tC\n", "position '-5'"),
        ("chr1\t99999999999999999\t.\tA\tC\n", "position"),
        ("chr1\t11\t.\t\tC\n", "REF is missing"),
        ("", "holds no variant"),
        ("chr1\t11\t.\tA\t\0\n", "binary"),
    ],
)
def test_a_malformed_line_is_named(tmp_path, content, message):
    path = tmp_path / "calls.vcf"
    path.write_text(HEADER.replace("\tQUAL\tFILTER\tINFO", "") + content)
    with pytest.raises(InputError, match=message):
        list(read_variants(str(path)))


def test_bcf_and_pipes_are_told_what_to_do(tmp_path):
    path = tmp_path / "calls.bcf"
    path.write_bytes(gzip.compress(b"BCF\2\2" + bytes(30)))
    with pytest.raises(InputError, match="bcftools view"):
        list(read_variants(str(path)))
    with pytest.raises(InputError, match="can't be a pipe"):
        list(read_variants("-"))


def test_the_numbers_are_those_of_the_edited_sequences(tmp_path, genome, letters):
    """Scores against the network itself on sequences edited by hand; multi-allelic, SNV, indel, gzip."""
    lines = (
        f"chr1 101 rs1 {letters[100]} {other(letters[100])},{letters[100]}ACG",
        f"chr1 121 . {letters[120:124]} {letters[120]}",
        f"chr1 5 edge {letters[4].lower()} {other(letters[4]).lower()}",
    )
    path = tmp_path / "calls.vcf.gz"
    path.write_bytes(gzip.compress(vcf(tmp_path, *lines).read_bytes()))
    prefix = tmp_path / "run"
    assert variants(path, genome, "-m", f"{__file__}:Net", "-t", "0", "-t", "1", "-p", "0", "-o", prefix) == 0
    rows = table(tmp_path / "run.variants.tsv")
    assert [(row["id"], row["alt"]) for row in rows[::2]] == [
        ("rs1", other(letters[100])),
        ("rs1", letters[100] + "ACG"),
        (".", letters[120]),
        ("edge", other(letters[4])),
    ]
    net = Net().double()
    for row in rows:
        at, ref, start = int(row["pos"]) - 1, row["ref"], int(row["start"])
        for text, column in ((ref, "score_ref"), (row["alt"], "score_alt")):
            edited = letters[:at] + text + letters[at + len(ref) :]
            window = ("N" * max(-start, 0) + edited[max(start, 0) :])[:WINDOW]
            x = torch.from_numpy(encode(window.encode())[np.newaxis].astype(float))
            assert float(row[column]) == pytest.approx(net(x)[0, int(row["target"])].item(), abs=1e-5)
        assert float(row["score_difference"]) == pytest.approx(
            float(row["score_alt"]) - float(row["score_ref"]), abs=1e-6
        )
        for name in ("ref", "alt", "difference"):  # the same where a model has no end
            assert float(row[f"prediction_{name}"]) == pytest.approx(float(row[f"score_{name}"]), abs=1e-6)
        assert int(row["end"]) - start == WINDOW
    with ArchiveReader(tmp_path / "run.alt.h5") as reader:
        assert [w.name for w in reader.windows(slice(0, 3))] == [
            f"rs1:{other(letters[100])}",
            f"rs1:{letters[100]}ACG",
            f"chr1:121:{letters[120:124]}>{letters[120]}",
        ]
    assert {p.name for p in tmp_path.glob("run.difference*")} == {
        "run.difference.0.bw",
        "run.difference.1.bw",
    }


def test_relevance_differs_where_an_additive_model_says(tmp_path, genome, letters):
    base = letters[100]
    path = vcf(tmp_path, f"chr1 101 . {base} {other(base)}")
    prefix = tmp_path / "run"
    assert variants(path, genome, "-m", f"{__file__}:Additive", "--composite", "zero", "-o", prefix) == 0
    weight = Additive().head.weight.detach().reshape(4, WINDOW)[:, WINDOW // 2].tolist()
    mean = sum(weight) / 4  # contributions are centred
    before, after = (weight["ACGT".index(b)] - mean for b in (base, other(base)))
    (row,) = table(tmp_path / "run.variants.tsv")
    assert float(row["site_ref"]) == pytest.approx(before, abs=1e-5)
    assert float(row["site_alt"]) == pytest.approx(after, abs=1e-5)
    assert float(row["largest_difference"]) == pytest.approx(after - before, abs=1e-5)
    assert float(row["total_difference"]) == pytest.approx(abs(after - before), abs=1e-5)
    assert row["largest_pos"] == row["pos"] == "101"
    with pyBigWig.open(str(tmp_path / "run.difference.bw")) as track:
        values = np.array(track.values("chr1", 80, 120))
        assert values[20] == pytest.approx(after - before, abs=1e-5)
        assert np.abs(np.delete(values, 20)).max() == 0
        assert np.isnan(track.values("chr1", 70, 80)).all()


def test_where_variants_share_bases_the_larger_difference_is_in_the_track(tmp_path, genome, letters):
    path = vcf(
        tmp_path,
        f"chr1 101 . {letters[100]} {other(letters[100])}",
        f"chr1 106 . {letters[105]} {other(letters[105])}",
    )
    assert variants(path, genome, "-m", f"{__file__}:Net", "-t", "0", "-o", tmp_path / "run") == 0
    rows = table(tmp_path / "run.variants.tsv")
    with pyBigWig.open(str(tmp_path / "run.difference.bw")) as track:
        for row in rows:
            at = int(row["largest_pos"]) - 1
            value = track.values("chr1", at, at + 1)[0]
            assert abs(value) >= abs(float(row["largest_difference"])) * (1 - 1e-6)
        largest = max(rows, key=lambda r: abs(float(r["largest_difference"])))
        at = int(largest["largest_pos"]) - 1
        assert track.values("chr1", at, at + 1)[0] == pytest.approx(float(largest["largest_difference"]))


def test_equal_runs_give_equal_bytes_and_a_finished_one_is_resumed_at_once(tmp_path, genome, letters):
    path = vcf(tmp_path, *(f"chr1 {i + 1} . {letters[i]} {other(letters[i])}" for i in range(30, 270, 7)))
    given_options = (path, genome, "-m", f"{__file__}:Net", "-t", "1", "-b", "4")
    for name in ("one", "two"):
        assert variants(*given_options, "-o", tmp_path / name) == 0
    for end in ("variants.tsv", "difference.bw", "ref.h5", "alt.h5"):
        assert (tmp_path / f"one.{end}").read_bytes() == (tmp_path / f"two.{end}").read_bytes()
    written = (tmp_path / "one.ref.h5").stat().st_mtime_ns
    assert variants(*given_options, "-o", tmp_path / "one", "--resume") == 0
    assert (tmp_path / "one.ref.h5").stat().st_mtime_ns == written
    changed = vcf(tmp_path, f"chr1 31 . {letters[30]} {other(letters[30])}")
    assert variants(changed, *given_options[1:], "-o", tmp_path / "one", "--resume") == 1


def test_a_run_stopped_before_its_second_allele_is_resumed_over_an_earlier_one(
    tmp_path, genome, letters, monkeypatch
):
    path = vcf(tmp_path, *(f"chr1 {i + 1} . {letters[i]} {other(letters[i])}" for i in range(30, 270, 40)))
    given_options = (path, genome, "-m", f"{__file__}:Net", "-o", tmp_path / "run", "-q")
    assert variants(*given_options, "-t", "1") == 0
    whole = {p.name: p.read_bytes() for p in tmp_path.glob("run*")}
    assert variants(*given_options, "-t", "0") == 0
    with monkeypatch.context() as patch:
        real = module.attribute

        def stopping(request, *more):
            if request.settings.allele == "alt":
                raise Stopped
            return real(request, *more)

        patch.setattr(module, "attribute", stopping)
        assert variants(*given_options, "-t", "1") == 75
    assert variants(*given_options, "-t", "1", "--resume") == 0
    assert {p.name: p.read_bytes() for p in tmp_path.glob("run*")} == whole


def test_a_file_of_another_assembly_explains_nothing_and_says_so(tmp_path, genome, letters, capsys):
    path = vcf(tmp_path, f"chr1 101 . {other(letters[100])} {letters[100]}")
    assert variants(path, genome, "-m", f"{__file__}:Net", "-t", "0", "-o", tmp_path / "run") == 1
    assert "is it of this assembly?" in capsys.readouterr().err
    assert not list(tmp_path.glob("run*"))
