"""The annotated VCF: what was given is kept, what is added is valid, and motifs are named."""

import gzip
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.commands import command, error_line, table
from helpers.tiny_net import MODEL

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs.formats import KnownMotif
from sparselrp_cli.motifs.scan import Matrix, encoded
from sparselrp_cli.outputs.annotated_vcf import InfoKey, annotated_header, annotated_record, escaped
from sparselrp_cli.runs.variant_motifs import MotifScan
from sparselrp_cli.sequences.bgzip import find_blocks
from sparselrp_cli.sequences.genome import Genome
from sparselrp_cli.sequences.variants import Variant, read_variants

META = (
    "##fileformat=VCFv4.2",
    '##INFO=<ID=DP,Number=1,Type=Integer,Description="Depth, of \\"all\\" reads">',
    '##INFO=<ID=FLAG,Number=0,Type=Flag,Description="A flag">',
    # pysam writes it of lines with symbolic alleles.
    '##INFO=<ID=END,Number=1,Type=Integer,Description="End">',
    '##INFO=<ID=SVTYPE,Number=1,Type=String,Description="Kind">',
    '##ALT=<ID=DEL,Description="Deletion">',
    '##FORMAT=<ID=GT,Number=1,Type=String,Description="Genotype">',
    "##contig=<ID=chr1,length=300>",
)
COLUMNS = "#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO\tFORMAT\tone\ttwo"
MOTIF = "TGCATAAG"


@pytest.fixture(scope="module")
def letters() -> str:
    text = "".join(np.random.default_rng(1).choice(list("ACGT"), 300))
    # One base short of the motif, and the motif itself on the other strand.
    turned = MOTIF[::-1].translate(str.maketrans("ACGT", "TGCA"))
    return text[:100] + "TGCATCAG" + text[108:200] + turned + text[208:]


@pytest.fixture(scope="module")
def genome(tmp_path_factory, letters) -> Path:
    path = tmp_path_factory.mktemp("genome") / "genome.fa"
    path.write_text(f">chr1\n{letters}\n")
    return path


@pytest.fixture(scope="module")
def motifs(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("motifs") / "known.jaspar"
    text = ""
    for name, consensus in (("MA1 a;b,c=d", MOTIF), ("MA2", "CCCCCCCCCC")):
        rows = "\n".join(f"{b} [ {' '.join('20' if c == b else '0' for c in consensus)} ]" for b in "ACGT")
        text += f">{name}\n{rows}\n"
    path.write_text(text)
    return path


def records(letters: str) -> list[str]:
    other = next(b for b in "ACGT" if b not in (letters[49], "N"))
    rest = "\t29.5\tPASS\t{}\tGT\t0/1\t./."
    return [
        f"chr1\t50\trs1\t{letters[49]}\t{other},<DEL>,{letters[49]}GG" + rest.format("DP=3;FLAG"),
        "chr1\t106\tgain\tC\tA" + rest.format("."),
        f"chr1\t205\tloss\t{letters[204]}\t{'A' if letters[204] != 'A' else 'C'}" + rest.format("DP=1"),
        f"chr1\t260\tsv\t{letters[259]}\t<DUP>" + rest.format("SVTYPE=DUP"),
    ]


@pytest.fixture(scope="module")
def annotated(tmp_path_factory, genome, letters, motifs) -> Path:
    folder = tmp_path_factory.mktemp("run")
    path = folder / "calls.vcf"
    path.write_text("\n".join([*META, COLUMNS, *records(letters)]) + "\n")
    options = ("-m", MODEL, "-t", "0", "-t", "1", "--null", "9", "--motifs", motifs, "-q")
    assert command("variants", path, genome, *options, "-o", folder / "run") == 0
    return folder


def lines(folder: Path) -> list[str]:
    return gzip.decompress((folder / "run.vcf.gz").read_bytes()).decode().splitlines()


def info(line: str) -> dict[str, str]:
    return dict(entry.partition("=")[::2] for entry in line.split("\t")[7].split(";"))


def test_lines_and_header_are_kept_and_only_info_is_added_to(annotated, letters):
    given = [*META, COLUMNS, *records(letters)]
    found = lines(annotated)
    assert [line for line in found if not line.startswith("##INFO=<ID=SLRP_")][:-4] == [*META, COLUMNS]
    for before, after in zip(given[-4:], found[-4:], strict=True):
        old, new = before.split("\t"), after.split("\t")
        assert [*new[:7], *new[8:]] == [*old[:7], *old[8:]]
        kept = [entry for entry in old[7].split(";") if entry != "." and not entry.startswith("SLRP_")]
        assert new[7].split(";")[: len(kept)] == kept


def test_values_are_those_of_the_table_once_for_each_alternative(annotated):
    rows = table(annotated / "run.variants.tsv")
    found = [info(line) for line in lines(annotated)[-4:]]
    values = {
        "SCORE": "score_difference", "RELEVANCE": "total_difference",
        "SCORE_P": "score_p", "SCORE_Q": "score_q",
        "RELEVANCE_P": "relevance_p", "RELEVANCE_Q": "relevance_q",
    }  # fmt: skip
    for target in ("0", "1"):
        of_target = [row for row in rows if row["target"] == target]
        for key, column in values.items():
            first, _, last, gain, loss = (
                float(text) if text != "." else None
                for text in ",".join(entry[f"SLRP_{key}.{target}"] for entry in found[:3]).split(",")
            )
            assert [first, last, gain, loss] == pytest.approx([float(r[column]) for r in of_target], rel=1e-5)
    assert found[0]["SLRP_SCORE.0"].split(",")[1] == "."
    assert "symbolic" in found[0]["SLRP_NOTE"].split(",")[1]
    assert set(found[3]) == {"SVTYPE", "SLRP_NOTE"}


def test_every_key_has_its_line_in_the_header(annotated):
    found = lines(annotated)
    declared = {
        m[1]: (m[2], m[3])
        for line in found
        if (m := re.match(r'##INFO=<ID=([A-Za-z_][\w.]*),Number=(\w),Type=(\w+),Description="', line))
    }
    used = {key for line in found[-4:] for key in info(line) if key.startswith("SLRP_")}
    assert used <= set(declared)
    assert {declared[key][0] for key in used} == {"A"}
    for line in found[-4:]:
        n = line.split("\t")[4].count(",") + 1
        for key, value in info(line).items():
            if key.startswith("SLRP_"):
                assert len(value.split(",")) == n
                assert not re.search(r"[\s;=]", value)


def test_it_is_bgzip_and_reads_as_the_variants_that_were_given(annotated):
    assert find_blocks(annotated / "run.vcf.gz")
    before, after = ([*read_variants(str(annotated / name))] for name in ("calls.vcf", "run.vcf.gz"))
    assert before == after


def test_annotating_again_gives_the_same_file(annotated, genome, motifs):
    options = ("-m", MODEL, "-t", "0", "-t", "1", "--null", "9", "--motifs", motifs, "-q")
    again = annotated / "again"
    assert command("variants", annotated / "run.vcf.gz", genome, *options, "-o", again) == 0
    one, two = ((annotated / f"{name}.vcf.gz").read_bytes() for name in ("run", "again"))
    assert gzip.decompress(one) == gzip.decompress(two)


def test_other_readers_find_in_it_what_we_put_there(annotated, tmp_path):
    pysam = pytest.importorskip("pysam")
    path = tmp_path / "run.vcf.gz"
    path.write_bytes((annotated / "run.vcf.gz").read_bytes())
    pysam.tabix_index(str(path), preset="vcf")
    with pysam.VariantFile(str(path)) as file:
        (gain,) = file.fetch("chr1", 105, 106)
        assert gain.info["SLRP_GAINED"] == ("a%3Bb%2Cc%3Dd",)
        (first,) = file.fetch("chr1", 49, 50)
        assert first.info["SLRP_SCORE.0"][1] is None
        assert gain.samples["one"]["GT"] == (0, 1)
        assert len([*file.fetch()]) == 4


def test_bcf_gives_what_vcf_gives(annotated, genome, tmp_path):
    pysam = pytest.importorskip("pysam")
    path = tmp_path / "calls.bcf"
    with (
        pysam.VariantFile(str(annotated / "calls.vcf")) as given,
        pysam.VariantFile(str(path), "wb", header=given.header) as out,
    ):
        for record in given:
            out.write(record)
    assert [*read_variants(str(path))] == [*read_variants(str(annotated / "calls.vcf"))]
    options = ("-m", MODEL, "-t", "0", "-t", "1", "-q")
    assert command("variants", path, genome, *options, "-o", tmp_path / "run") == 0
    one, two = (table(folder / "run.variants.tsv") for folder in (annotated, tmp_path))
    assert [{key: row[key] for key in two[0]} for row in one] == two
    assert [line.split("\t")[:5] for line in lines(tmp_path)[-4:]] == [
        line.split("\t")[:5] for line in lines(annotated)[-4:]
    ]


def test_a_damaged_bcf_is_one_line(tmp_path):
    pytest.importorskip("pysam")
    path = tmp_path / "calls.bcf"
    path.write_bytes(gzip.compress(b"BCF\2\2" + bytes(30)))
    with pytest.raises(InputError, match="the BCF is damaged"):
        [*read_variants(str(path))]


def test_without_pysam_a_bcf_says_what_brings_it(tmp_path, genome, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pysam", None)
    path = tmp_path / "calls.bcf"
    path.write_bytes(gzip.compress(b"BCF\2\2" + bytes(30)))
    assert command("variants", path, genome, "-m", MODEL, "-t", "0", "-o", tmp_path / "run", "-q") == 1
    assert "pip install 'sparselrp[vcf]'" in error_line(capsys)


def test_motifs_that_are_made_and_broken_are_named(annotated):
    rows = {row["id"]: row for row in table(annotated / "run.variants.motifs.tsv") if row["id"] != "rs1"}
    gain, loss = rows["gain"], rows["loss"]
    assert (gain["effect"], gain["motif"], gain["motif_name"]) == ("gained", "MA1", "a;b,c=d")
    assert (loss["effect"], loss["motif"]) == ("lost", "MA1")
    assert (gain["strand_alt"], gain["offset_alt"]) == ("+", "-5")
    assert (loss["strand_ref"], loss["offset_ref"]) == ("-", "-4")
    # Of eight columns with 20.5 of 22 sites, one has half a site before, by definition.
    column, wrong = np.log2((20.5 / 22 + 1e-4) / 0.25), np.log2((0.5 / 22 + 1e-4) / 0.25)
    assert float(gain["bits_alt"]) == pytest.approx(8 * column, abs=0.05)
    assert float(gain["bits_difference"]) == pytest.approx(column - wrong, abs=0.02)
    assert float(loss["bits_difference"]) == pytest.approx(wrong - column, abs=0.02)
    # The consensus alone scores so much, and 25 sequences have at most one other base.
    assert float(gain["p_alt"]) == pytest.approx(4.0**-8, rel=0.01)
    assert float(gain["p_ref"]) == pytest.approx(25 * 4.0**-8, rel=0.01)


@pytest.mark.parametrize(
    ("ref", "alt", "effect"),
    [
        ("T", "TGCATAAG", "gained"),
        ("TGCATAAG", "T", "lost"),
        ("TGCATAAG", "TGCATAAGA", None),
        ("A", "C", "lost"),
        ("TAA", "TCC", "lost"),
        ("A", "AA", "lost"),
    ],
    ids=["inserted", "deleted", "an insertion beside", "a base", "two bases", "an insertion within"],
)
def test_the_best_match_is_that_of_all_places_over_the_change(ref, alt, effect, tmp_path):
    """Against every place of both alleles, spelled out."""
    flank = "CCGCCGACCGCC"
    before = flank + MOTIF + flank if effect != "gained" else flank + "T" + flank
    at = before.index(ref, len(flank))
    if ref == "A":
        at = len(flank) + MOTIF.index("A")
    (tmp_path / "genome.fa").write_text(f">c\n{before}\n")
    motif = KnownMotif("m", "name", 20.0 * (np.array([*MOTIF])[:, None] == np.array([*"ACGT"])))
    matrix = Matrix.of(motif)
    variant = Variant("c", at, ".", ref, alt)
    after = before[:at] + alt + before[at + len(ref) :]
    with Genome(str(tmp_path / "genome.fa")) as genome:
        (found,) = MotifScan([motif]).effects([variant], genome)
    best = []
    for text, n in ((before, len(variant.removed)), (after, len(variant.inserted))):
        bits = matrix.bits(matrix.scores(encoded(text.encode())[np.newaxis]))[:, 0].max(axis=0)
        first = variant.changed_at
        starts = [s for s in range(len(bits)) if s + 8 > first and (s < first + n if n else s < first)]
        best.append(max(bits[starts]))
    assert [effect_.effect for effect_ in found] == ([effect] if effect else [])
    for one in found:
        assert (one.ref.bits, one.alt.bits) == pytest.approx(tuple(best))
        assert one.name == "name"


@pytest.mark.parametrize(
    ("header", "first", "last"),
    [
        ([], b"##fileformat=VCFv4.3", b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"),
        ([b"#CHROM\tPOS\tID\tREF\tALT"], b"##fileformat=VCFv4.3",
         b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"),
        ([b"##fileformat=VCFv4.1", b"##INFO=<ID=SLRP_SCORE,Number=1>"], b"##fileformat=VCFv4.1",
         b"#CHROM\tPOS\tID\tREF\tALT\tQUAL\tFILTER\tINFO"),
    ],
    ids=["no header", "five columns", "a key of an earlier run"],
)  # fmt: skip
def test_a_header_has_all_that_vcf_asks_for(header, first, last):
    found = [*annotated_header(header, [InfoKey("SCORE", "Float", 'of "a\\b"\n c')])]
    assert (found[0], found[-1]) == (first, last)
    assert len(found) == 3
    assert rb'Description="of \"a\\b\" c"' in found[1]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (b"c\t1\t.\tA\tC,G", b"c\t1\t.\tA\tC,G\t.\t.\tSLRP_X=1.5,."),
        (b"c\t1\t.\tA\tC,G\t.\t.\t.", b"c\t1\t.\tA\tC,G\t.\t.\tSLRP_X=1.5,."),
        (b"c\t1\t.\tA\tC,G\t9\tq\tDB;SLRP_X=3;N=1\tGT\t0|1",
         b"c\t1\t.\tA\tC,G\t9\tq\tDB;N=1;SLRP_X=1.5,.\tGT\t0|1"),
    ],
    ids=["five columns", "missing", "annotated before"],
)  # fmt: skip
def test_info_is_added_to_what_there_is(record, expected):
    assert annotated_record(record, [(InfoKey("X", "Float", ""), [1.5, None])]) == expected


def test_what_has_a_meaning_in_info_is_encoded():
    assert escaped("a b;c=d,e%&|\t\n") == "a%20b%3Bc%3Dd%2Ce%25%26%7C%09%0A"
