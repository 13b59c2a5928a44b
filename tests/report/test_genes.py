"""Genes with the windows: those over each, the nearest, and of exons what windows touch."""

import gzip
import json

import numpy as np
import pytest
from helpers.archives import random_rows, write_archive
from helpers.commands import command, error_line
from helpers.manifests import manifest

from sparselrp_cli.cli import following
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report import genes as of_page
from sparselrp_cli.report.genes import gene_columns, gene_text, genes_of_windows
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.sequences import genes
from sparselrp_cli.sequences.features import read_features
from sparselrp_cli.sequences.genes import Windows, read_genes
from sparselrp_cli.settings.run import RunSettings

LENGTH = 20
PLACES = [("chr1", 100), ("chr1", 110), ("chr1", 400), ("chr2", 50), ("chr2", 300), ("chr3", 7)]
SIZES = {"chr1": 1000, "chr2": 1000, "chr3": 100, "chr4": 100}


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    rows = random_rows(PLACES, LENGTH)
    return write_archive(
        tmp_path_factory.mktemp("genes") / "a.h5", rows, sizes=SIZES, manifest=manifest().to_json()
    )


def gtf_line(chrom, kind, start, end, strand, gene):
    attributes = f'gene_id "{gene}"; transcript_id "{gene}.1"; gene_name "n{gene}";'
    return "\t".join([chrom, "x", kind, str(start + 1), str(end), ".", strand, ".", attributes]) + "\n"


def random_gtf(path, *, spans, seed=0):
    """A GTF of genes with exons and coding parts, with or without lines that span them."""
    rng, lines = np.random.default_rng(seed), []
    for number in range(40):
        chrom = f"chr{rng.integers(1, 5)}"
        first, strand = int(rng.integers(0, 900)), str(rng.choice(["+", "-"]))
        cuts = first + np.sort(rng.choice(np.arange(1, 300), 6, replace=False))
        exons = [(int(a), int(b)) for a, b in cuts.reshape(-1, 2)]
        if spans:
            lines.append(gtf_line(chrom, spans, exons[0][0], exons[-1][1], strand, number))
        lines += [gtf_line(chrom, "exon", *exon, strand, number) for exon in exons]
        lines.append(gtf_line(chrom, "CDS", *exons[1], strand, number))
    path.write_text("# made for a test\n" + "".join(lines))
    return str(path)


def bases(stretches):
    return {position for start, end in stretches for position in range(start, end)}


@pytest.mark.parametrize("spans", ["gene", "transcript", ""])
def test_extents_are_whole_and_exons_are_right_wherever_a_window_is(tmp_path, spans):
    path = random_gtf(tmp_path / "a.gtf", spans=spans)
    starts = {name: sorted(s for c, s in PLACES if c == name) for name in ("chr1", "chr2", "chr3")}
    windows = {name: Windows(s, [start + LENGTH for start in s]) for name, s in starts.items()}
    found = {(f.chrom, f.name): f for f in read_genes(path, windows)}
    expected = {(f.chrom, f.name): f for f in read_features(path) if f.chrom in windows}
    assert found.keys() == expected.keys()
    for key, gene in found.items():
        whole = expected[key]
        assert (gene.start, gene.end, gene.strand) == (whole.start, whole.end, whole.strand)
        seen = {p for start in starts[gene.chrom] for p in range(start, start + LENGTH)}
        assert bases(gene.blocks) & seen == bases(whole.blocks) & seen
        assert bases(gene.thick) & seen == bases(whole.thick) & seen
        assert all(windows[gene.chrom].touch(*block) for block in gene.blocks)


def test_genes_over_a_window_and_the_nearest_are_what_a_slow_search_finds(archive, tmp_path):
    path = random_gtf(tmp_path / "a.gtf", spans="gene", seed=3)
    with ArchiveReader(archive) as reader:
        found, windows = genes_of_windows(reader, path), reader.windows(slice(None))
    everything = read_features(path)
    sides = set()
    for row, window in enumerate(windows):
        there = [g for g in everything if g.chrom == window.chrom]
        over = {g.name for g in there if g.start < window.end and g.end > window.start}
        assert {found.genes[i].name for i in found.over[row]} == over
        assert found.number[row] == len(over)
        if over or not there:
            assert found.distance[row] == 0
            assert (found.nearest[row] == -1) == (not there)
            continue
        gap = {g.name: max(g.start - window.end, window.start - g.end) + 1 for g in there}
        gene = found.genes[found.nearest[row]]
        assert gap[gene.name] == min(gap.values()) == abs(found.distance[row])
        is_left = window.end <= gene.start
        assert (found.distance[row] < 0) == (is_left == (gene.strand == "+"))
        sides.add(bool(found.distance[row] < 0))
    assert any(found.number)
    assert sides


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chr3\t10\t12\tinside\t0\t+", "inside"),
        ("chr3\t27\t30\tbeside\t0\t+", "beside, 1 bp upstream"),
        ("chr3\t27\t30\tbeside\t0\t-", "beside, 1 bp downstream"),
        ("chr3\t0\t5\tbefore\t0\t+", "before, 3 bp downstream"),
        ("chr3\t0\t5\tbefore\t0\t-", "before, 3 bp upstream"),
        ("chr3\t0\t5\tneither", "neither, 3 bp away"),
        ("chr3\t0\t9", "without a name"),
        ("chr4\t0\t5\telsewhere", ""),
    ],
)
def test_what_is_said_of_a_window_and_its_gene(archive, tmp_path, line, said):
    path = tmp_path / "g.bed"
    path.write_text(f"{line}\n")
    with ArchiveReader(archive) as reader:
        assert gene_text(genes_of_windows(reader, str(path)), len(PLACES) - 1) == said


def test_many_genes_over_a_window_are_counted_and_the_nearest_to_its_centre_are_named(archive, tmp_path):
    path = tmp_path / "g.bed.gz"
    # The window is chr3:7-27, and its centre 17.
    lines = [f"chr3\t{i}\t{i + 1}\tg{i}\n" for i in range(7, 27)]
    path.write_bytes(gzip.compress("".join(lines).encode()))
    with ArchiveReader(archive) as reader:
        found = genes_of_windows(reader, str(path))
        assert gene_text(found, 5) == "g16, g17, g15 and 17 more"
        columns = gene_columns(found, np.ones(reader.n_windows, np.bool_))
    assert len(columns["over"][5]) == of_page.MOST_OVER
    assert columns["number"][5] == 20


def test_exons_beyond_what_a_page_may_hold_are_left_out_and_extents_stay(archive, tmp_path, monkeypatch):
    path = random_gtf(tmp_path / "a.gtf", spans="gene")
    with ArchiveReader(archive) as reader:
        found = genes_of_windows(reader, path)
        drawn = np.ones(reader.n_windows, np.bool_)
        whole = gene_columns(found, drawn)
        monkeypatch.setattr(of_page, "DRAWN_PARTS", 2)
        cut = gene_columns(found, drawn)
        none = gene_columns(found, ~drawn)
    parts = [sum(len(flat) for flat in (*c["blocks"], *c["thick"])) / 2 for c in (whole, cut, none)]
    assert parts[0] > 2 >= parts[1] > parts[2] == 0
    assert whole["end"] == cut["end"] == none["end"]
    for gene, blocks in zip(found.genes, whole["blocks"], strict=True):
        if blocks:
            assert [gene.start + blocks[0], gene.start + blocks[0] + blocks[1]] == list(gene.blocks[0])


def test_a_file_of_more_than_genes_is_refused(archive, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(genes, "MOST_GENES", 2)
    (tmp_path / "g.bed").write_text("".join(f"chr1\t{i}\t{i + 1}\n" for i in range(3)))
    given = ("report", str(archive), "-o", str(tmp_path / "p.html"), "--genes", str(tmp_path / "g.bed"))
    assert command(*given) == 1
    assert error_line(capsys) == "sparselrp: error: g.bed has over 2 features; give one of genes"


def page_data(text):
    return json.loads(text.partition('id="data">')[2].partition("</script>")[0])


def test_the_page_names_its_genes_and_says_where_none_fits(archive, tmp_path, capsys):
    out, path = tmp_path / "p.html", tmp_path / "g.bed"
    path.write_text("chr1\t90\t130\t<i>lola\t0\t-\n")
    assert command("report", str(archive), "-o", str(out), "--genes", str(path), "--windows", "0", "-q") == 0
    text = out.read_text()
    assert "Genes are those of <code>g.bed</code>" in text
    assert page_data(text)["genes"]["name"] == ["<i>lola"]
    path.write_text("1\t90\t130\tlola\t0\t-\n")
    assert command("report", str(archive), "-o", str(out), "--genes", str(path), "--windows", "0", "-q") == 0
    assert "g.bed has no gene on the chromosomes of the windows, such as chr1" in capsys.readouterr().err
    assert "Are these named alike?" in out.read_text()
    assert command("report", str(archive), "-o", str(out), "--windows", "0", "-q") == 0
    assert page_data(out.read_text())["genes"] is None
    assert 'data-column="gene"' not in out.read_text()


@pytest.mark.parametrize(("name", "option"), [("report", "--genes"), ("plot", "--genes"), ("plot", "--hits")])
def test_what_is_no_file_of_features_is_refused_though_no_line_is_of_the_chromosome(
    archive, tmp_path, capsys, name, option
):
    (tmp_path / "g.bed").write_text("Which bases mattered?\n")
    given = ["chr1:100-150"] if name == "plot" else []
    out = tmp_path / ("p.svg" if name == "plot" else "p.html")
    assert command(name, str(archive), *given, "-o", str(out), option, str(tmp_path / "g.bed")) == 1
    assert "g.bed line 1: 'Which bases mattered?' isn't chromosome, start and end" in error_line(capsys)
    assert not out.exists()


def test_attribute_hands_genes_to_the_report_and_refuses_them_without_one(tmp_path, monkeypatch, capsys):
    given = ("attribute", "w.fa", "-m", "suhw-dm3", "-o", str(tmp_path / "a"))
    (tmp_path / "g.bed").write_text("chr1\t90\n")
    genes_of = ("--genes", str(tmp_path / "g.bed"))
    assert command(*given, *genes_of) == 2
    assert "--genes goes with --report" in capsys.readouterr().err
    assert command(*given, *genes_of, "--report") == 1
    assert "g.bed line 1: 'chr1 90' isn't chromosome, start and end" in error_line(capsys)


@pytest.mark.parametrize("text", ["", "# nothing\n", "track name=x\n"])
def test_a_file_without_a_gene_is_refused_before_a_run(tmp_path, text):
    (tmp_path / "g.bed").write_text(text)
    with pytest.raises(genes.InputError, match=r"g\.bed has no gene"):
        genes.require_genes(str(tmp_path / "g.bed"))


def test_a_stream_is_refused_before_a_run():
    with pytest.raises(genes.InputError, match="can be read only once"):
        genes.require_genes("-")


def test_the_report_of_a_run_gets_the_genes_and_the_motifs_dont(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(following, "run_command", lambda words, *, quiet: ran.append(list(words)))
    monkeypatch.setattr("sparselrp_cli.runs.follow_ups.explain_shuffled", lambda *_: tmp_path / "bg.h5")
    monkeypatch.setattr("sparselrp_cli.runs.follow_ups.explain_unpruned", lambda *_: None)
    rows = random_rows(PLACES, LENGTH, n_targets=2)
    write_archive(tmp_path / "a.h5", rows, sizes=SIZES)
    request = RunRequest("w.fa", tmp_path / "a", (), RunSettings(targets=("x",), window=LENGTH), None, None)
    for given in ("genes.gtf", None):
        ran.clear()
        following.motifs_and_report(request, [], None, None, database=None, genes=given, quiet=True)
        assert [words[0] for words in ran] == ["motifs", "report", "motifs", "report"]
        with_genes = [words[0] for words in ran if "--genes" in words]
        assert with_genes == (["report", "report"] if given else [])
        assert all(words[words.index("--genes") + 1] == given for words in ran if "--genes" in words)
