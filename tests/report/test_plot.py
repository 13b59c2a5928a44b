"""Figures of a stretch: no peak is lost, places have names, and what lies below is where the files say."""

import gzip
import re

import matplotlib as mpl
import numpy as np
import pyBigWig
import pytest
from helpers.archives import rows_of_contributions, write_archive
from helpers.commands import command, error_line, write
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from matplotlib import image
from matplotlib.figure import Figure
from matplotlib.text import Text

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.locus import LONGEST, find_place, near_names, parse_span
from sparselrp_cli.report.bases import envelope
from sparselrp_cli.report.features import MOST_LANES, Lanes, label_of
from sparselrp_cli.report.plotting import PlotRequest, draw_request
from sparselrp_cli.report.signals import read_signal
from sparselrp_cli.sequences.features import Feature, feature_names, read_features

LONG, PEAK = 10_000, 6_177
SIZES = {"chr1": 20_000, "chr2": 500}
EXON = 'chr1\tx\t{}\t{}\t{}\t.\t{}\t.\tgene_id "FB1"; gene_name "eve"; transcript_id "eve-RA";'
GTF = "\n".join(
    [
        "#!genome-build x", EXON.format("exon", 101, 200, "+"), EXON.format("exon", 301, 400, "+"),
        EXON.format("exon", 151, 250, "+"), EXON.format("CDS", 161, 200, "+"),
        'chr1\tx\texon\t1001\t1100\t.\t-\t.\tgene_id "ftz";', 'chr2\tx\texon\t1\t9\t.\t.\t.\tgene_id "rnt";',
    ]
)  # fmt: skip
HITS = "chr1\t{}\t{}\t{}\t30\t{}\t{}\t{}\t{}\t2.5\t1e-5\t1e-5\tw\tpos_1\tyes"


def hit(start, name="su(Hw)", strand="+", colour="0,114,178"):
    return HITS.format(start, start + 12, name, strand, start, start + 12, colour)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A window of 10 kb with one peak of .96 and one of -.4, and smaller windows."""
    folder = tmp_path_factory.mktemp("plot")
    values = np.zeros((1, LONG))
    values[0, [PEAK, 2_000]] = 0.96, -0.4
    write_archive(folder / "long.h5", rows_of_contributions([("chr1", 0)], values), sizes=SIZES)
    rng = np.random.default_rng(0)
    rows = rows_of_contributions([("chr1", -10), ("chr1", 100), ("chr2", 50)], rng.normal(size=(3, 60)))
    write_archive(folder / "a.h5", rows, sizes=SIZES)
    write(folder / "genes.gtf", GTF)
    with pyBigWig.open(str(folder / "c.bw"), "w") as file:
        file.addHeader(list(SIZES.items()))
        file.addEntries("chr1", 0, values=np.arange(300.0).tolist(), span=1, step=1)
    return folder


@given(arrays(np.float64, st.integers(1, 400), elements=st.floats(-1, 1, width=16)), st.integers(1, 500))
def test_each_bin_of_an_envelope_holds_its_extremes(values, most):
    edges, low, high = envelope(values, most)
    assert edges[0] == 0
    assert edges[-1] == len(values)
    assert len(low) == len(high) == len(edges) - 1 <= most
    assert (np.diff(edges) > 0).all()
    for first, last, least, greatest in zip(edges[:-1], edges[1:], low, high, strict=True):
        assert least == min(0, values[first:last].min())
        assert greatest == max(0, values[first:last].max())


def test_bases_without_a_value_are_zero_in_an_envelope():
    edges, low, high = envelope(np.array([np.nan, np.nan, 1.0, -2.0]), 10)
    assert (edges.tolist(), low.tolist(), high.tolist()) == ([0, 2, 3, 4], [0, 0, -2], [0, 1, 0])


def outline_of(axes):
    (patch,) = [p for p in axes.patches if isinstance(p, mpl.patches.StepPatch)]
    return patch.get_data()


@pytest.mark.parametrize("dpi", [30, 200])
@pytest.mark.parametrize("wide", [0.5, 2.0, 9.0, 60.0])
def test_a_single_peak_is_drawn_at_its_height_at_every_width(folder, wide, dpi):
    request = PlotRequest((folder / "long.h5",), ("chr1", 0, LONG), size=(wide, 2.0), dpi=dpi)
    figure = draw_request(request, {})
    high, edges, low = outline_of(figure.axes[0])
    assert high.max() == pytest.approx(0.96)
    assert low.min() == pytest.approx(-0.4)
    at = int(high.argmax())
    assert edges[at] <= PEAK + 1 <= edges[at + 1]


@pytest.mark.parametrize("wide", [2.0, 9.0])
def test_a_single_peak_reaches_its_height_in_the_pixels(folder, tmp_path, wide):
    """The scale's upper end is twice the peak, so that it ends in the middle of the axes."""
    size, path = f"{wide}x3", tmp_path / "x.png"
    given = [folder / "long.h5", f"chr1:1-{LONG}", "--limits", "0,1.92", "--size", size, "-o", path, "-q"]
    assert command("plot", *given) == 0
    dark = image.imread(path)[:, :, :3].max(axis=2) < 0.4
    request = PlotRequest((folder / "long.h5",), ("chr1", 0, LONG), size=(wide, 3.0), limits=(0, 1.92))
    figure = draw_request(request, {})
    figure.set_dpi(200)
    figure.draw_without_rendering()
    box = figure.axes[0].get_window_extent()
    # Right of the axis's own line, above its zero line.
    inside = dark[: int(600 - box.y0 - 6), int(box.x0 + 6) : int(box.x1)]
    top = 600 - np.flatnonzero(inside.any(axis=1)).min()
    assert top == pytest.approx((box.y0 + box.y1) / 2, abs=2.5)


def test_a_longer_stretch_makes_no_larger_file(folder, tmp_path):
    rng = np.random.default_rng(0)
    rows = rows_of_contributions([("chr1", 0)], rng.normal(size=(1, 50_000)))
    write_archive(tmp_path / "b.h5", rows, sizes={"chr1": 50_000})
    sizes = {}
    for last in (5_000, 50_000):
        path = tmp_path / f"{last}.svg"
        assert command("plot", tmp_path / "b.h5", f"chr1:1-{last}", "-o", path, "-q") == 0
        sizes[last] = path.stat().st_size
    assert sizes[50_000] < 1.1 * sizes[5_000] < 400_000


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("chr1:11-20", ("chr1", 10, 20)),
        ("peak_0", ("chr1", 0, 50)),
        ("peak_2", ("chr2", 50, 110)),
        ("eve", ("chr1", 100, 400)),
        ("EVE", ("chr1", 100, 400)),
        ("FB1", ("chr1", 100, 400)),
        ("chr2", ("chr2", 0, 500)),
    ],
)
def test_a_place_is_coordinates_a_window_a_gene_or_a_record(folder, text, place):
    with ArchiveReader(folder / "a.h5") as reader:
        assert find_place(reader, text, str(folder / "genes.gtf")) == place


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("peak_9", "or the name of a window or a gene; near are peak_"),
        ("evv", "near are eve"),
        ("zzzz", "or the name of a window or a gene"),
        ("chr7:1-5", "has no chromosome 'chr7'; it has chr1, chr2"),
        ("chr1:9-1", "'chr1:9-1': positions are counted from 1, and the end isn't before the start"),
    ],
)
def test_what_is_no_place_is_said_with_what_is_near(folder, tmp_path, capsys, text, said):
    given = ["--genes", folder / "genes.gtf", "-o", tmp_path / "x.svg", "-q"]
    assert command("plot", folder / "a.h5", text, *given) == 1
    assert said in error_line(capsys)


def test_a_name_of_several_places_is_refused_with_these(tmp_path):
    rows = rows_of_contributions([("chr1", 5), ("chr1", 90)], np.ones((2, 20)))
    rows = rows.__class__(
        [w.__class__(w.chrom, w.start, w.end, "same", w.strand, w.index) for w in rows.windows],
        *(getattr(rows, name) for name in ("one_hot", "hypothetical", "accounting", "n_unknown")),
    )
    write_archive(tmp_path / "a.h5", rows, sizes=SIZES)
    with ArchiveReader(tmp_path / "a.h5") as reader, pytest.raises(InputError) as error:
        find_place(reader, "same")
    assert "'same' is the name of 2 places: chr1:6-25, chr1:91-110; give one of these" in str(error.value)


def test_a_gene_on_a_chromosome_that_isnt_in_the_archive_is_said(folder, tmp_path):
    genes = write(tmp_path / "g.bed", "chr9\t5\t90\tfar\n")
    with ArchiveReader(folder / "a.h5") as reader, pytest.raises(InputError, match="far is on 'chr9', and"):
        find_place(reader, "far", str(genes))


def test_what_is_too_long_to_be_drawn_is_said(tmp_path):
    rows = rows_of_contributions([("chr1", 0)], np.ones((1, 20)))
    write_archive(tmp_path / "a.h5", rows, sizes={"chr1": LONGEST + 1})
    with ArchiveReader(tmp_path / "a.h5") as reader, pytest.raises(InputError, match="at most 1,000,000"):
        find_place(reader, "chr1")


def test_near_names_hold_the_text_or_are_like_it():
    assert near_names("eve", ["eve-RA", "ftz", "ev"]) == "; near are eve-RA, ev"
    assert near_names("KRUPPEL", ["Kruppels", "x"]) == "; near are Kruppels"
    assert near_names("abc", ["xyz"]) == ""


@pytest.mark.parametrize("packed", [False, True])
def test_genes_of_a_gtf_are_put_together_over_their_transcripts(folder, tmp_path, packed):
    path = folder / "genes.gtf"
    if packed:
        path = tmp_path / "genes.gtf.gz"
        path.write_bytes(gzip.compress(GTF.encode()))
    eve, ftz = read_features(str(path), "chr1", 0, 5_000)
    assert (eve.start, eve.end, eve.name, eve.strand) == (100, 400, "eve", "+")
    assert eve.blocks == ((100, 250), (300, 400))
    assert eve.thick == ((160, 200),)
    assert eve.aliases == ("FB1", "eve-RA")
    assert (ftz.name, ftz.strand, ftz.thick) == ("ftz", "-", ())
    assert read_features(str(path), "chr1", 400, 1_000) == []
    assert feature_names(str(path)) == ["FB1", "eve", "eve-RA", "ftz", "rnt"]


def test_a_bed_of_each_width_is_read(tmp_path):
    bed12 = "chr1\t100\t400\tg\t0\t-\t150\t350\t255,0,0\t2\t50,100\t0,200"
    path = write(tmp_path / "a.bed", f"track x\nchr1\t1\t5\nchr1\t2\t9\tn\t0\t+\n{hit(20)}\n{bed12}\n")
    three, six, nine, twelve = read_features(str(path), "chr1", 0, 1_000)
    assert three == Feature("chr1", 1, 5)
    assert six == Feature("chr1", 2, 9, "n", "+")
    assert nine == Feature("chr1", 20, 32, "su(Hw)", "+", colour="#0072b2")
    assert (twelve.blocks, twelve.thick) == (((100, 150), (300, 400)), ((300, 350),))
    assert twelve.colour == "#ff0000"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("chr1\tx\texon\t5\t9\t.\t+\t.\tID=gene1", "line 1: column 9 has no attributes such as gene_id"),
        ("chr1\tx\texon\t9\t5\t.\t+\t.\tgene_id \"x\"", "line 1: start 9 and end 5 aren't a stretch"),
        ("chr1\tfive\t9", "line 1: 'chr1 five 9' isn't chromosome, start and end; give GTF, BED or BED12"),
        ("chr1\t1\t" + "9" * 5000, "line 1: 'chr1 1 99"),
        ("chr1\tx\texon\t1\t" + "9" * 5000 + "\t.\t+\t.\tgene_id \"x\"", "isn't chromosome, start and end"),
        ("chr1\t9\t5", "line 1: end 5 is not after start 9"),
    ],
)  # fmt: skip
def test_lines_that_are_no_features_are_refused(tmp_path, line, said):
    path = write(tmp_path / "a.txt", f"{line}\n")
    with pytest.raises(InputError, match=re.escape(said)):
        read_features(str(path), "chr1")


def test_values_of_a_bigwig_stand_at_their_bases(folder):
    found = read_signal(folder / "c.bw", "chr1", 290, 310)
    np.testing.assert_array_equal(found[:10], np.arange(290.0, 300.0))
    assert np.isnan(found[10:]).all()
    beyond = read_signal(folder / "c.bw", "chr2", 490, 520)
    assert np.isnan(beyond).all()


def test_a_bigwig_that_cant_be_read_is_said(folder, tmp_path):
    for path, chrom, said in (
        (folder / "no.bw", "chr1", "no such file"),
        (folder / "genes.gtf", "chr1", "isn't a bigWig, or is damaged"),
        (folder / "c.bw", "chr9", "has no chromosome 'chr9'; it has chr1, chr2"),
    ):
        with pytest.raises(InputError, match=said):
            read_signal(path, chrom, 0, 10)


def drawn(folder, place, **more):
    return draw_request(PlotRequest((folder / "a.h5", folder / "a.h5"), place, **more), {})


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.findobj(Text) if text.get_text()]


def test_every_row_has_its_label_and_all_share_their_positions(folder, tmp_path):
    hits = write(tmp_path / "h.bed", f"{hit(110)}\n{hit(130, 'x$_$y', '-')}\n")
    more = {"bigwigs": (folder / "c.bw",), "genes": str(folder / "genes.gtf"), "beds": (str(hits),)}
    figure = drawn(folder, ("chr1", 100, 160), **more)
    assert [axes.get_title(loc="left") for axes in figure.axes] == ["a", "a", "c", "genes.gtf", "h.bed"]
    assert {axes.get_xlim() for axes in figure.axes} == {(100.5, 160.5)}
    assert figure.axes[0].get_ylim() == figure.axes[1].get_ylim()
    assert {"eve ▸", "su(Hw) ▸", "◂ x$_$y", "position on chr1"} <= set(words(figure))


def test_a_stretch_without_relevance_is_drawn(folder):
    figure = draw_request(PlotRequest((folder / "long.h5",), ("chr1", 100, 160)), {})
    assert figure.axes[0].get_ylim() == (0, 1.05)


def test_highlights_are_shaded_in_all_rows_where_they_are(folder):
    figure = drawn(folder, ("chr1", 100, 160), highlights=("111-120", "chr1:150-150"))
    for axes in figure.axes:
        shaded = [p.get_extents().transformed(axes.transData.inverted()) for p in axes.patches
                  if p.get_zorder() < 0]  # fmt: skip
        assert [(round(s.x0, 6), round(s.x1, 6)) for s in shaded] == [(110.5, 120.5), (149.5, 150.5)]
    with pytest.raises(InputError, match="'chr2:1-5' isn't on chr1, which is drawn"):
        parse_span("chr2:1-5", "chr1")


def test_size_dpi_and_limits_are_those_that_are_asked_for(folder, tmp_path):
    path = tmp_path / "x.png"
    given = ["--size", "4x2.5", "--dpi", "100", "--limits", "-0.5,0.25"]
    assert command("plot", folder / "a.h5", "chr1:101-160", *given, "-o", path) == 0
    assert image.imread(path).shape[:2] == (250, 400)
    figure = drawn(folder, ("chr1", 100, 160), limits=(-0.5, 0.25))
    assert figure.axes[0].get_ylim() == (-0.5, 0.25)


def test_what_lies_beyond_the_limits_is_said(folder, tmp_path, capsys):
    given = ["--limits", "-1,0.5", "-o", tmp_path / "x.svg"]
    assert command("plot", folder / "long.h5", f"chr1:1-{LONG}", *given) == 0
    assert "warning: long: 1 base lies beyond --limits" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("--size", "9", "'9' isn't width x height in inches"),
        ("--size", "0x5", "'0x5' isn't width x height in inches"),
        ("--limits", "1,0", "'1,0' isn't two numbers, the smaller first"),
        ("--limits", "0,1e999", "isn't two numbers, the smaller first"),
        ("--dpi", "5", "5 is not in the range 30<=x<=1200"),
    ],
)
def test_values_of_options_that_cant_be_are_wrong_usage(folder, tmp_path, capsys, option, value, said):
    given = [folder / "a.h5", "chr1:101-160", option, value, "-o", tmp_path / "x.svg"]
    assert command("plot", *given) == 2
    assert said in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_figure_of_too_many_pixels_is_wrong_usage(folder, tmp_path, capsys):
    given = ["--size", "100x2", "--dpi", "1200", "-o", tmp_path / "x.png"]
    assert command("plot", folder / "a.h5", "chr1:101-160", *given) == 2
    assert "make over 30,000 pixels; lower one of them" in capsys.readouterr().err


def test_a_row_without_features_is_drawn_and_said(folder, tmp_path, capsys):
    given = ["--genes", folder / "genes.gtf", "-o", tmp_path / "x.svg"]
    assert command("plot", folder / "a.h5", "chr2:51-60", *given) == 0
    assert "warning: genes.gtf has nothing at chr2:51-60" in capsys.readouterr().err


def features(n, *, coloured, name="gene {}"):
    colours = ["#0072b2", "#d55e00"]
    return [
        Feature("chr1", 10 * i, 10 * i + 5, name.format(i % 2 if coloured else i), "+-"[i % 2],
                colour=colours[i % 2] if coloured else "")
        for i in range(n)
    ]  # fmt: skip


@given(st.integers(1, 120), st.booleans(), st.floats(0.05, 5))
def test_features_of_a_lane_cover_each_other_only_in_the_last(n, coloured, point):
    lanes = Lanes.of(features(n, coloured=coloured), 0, 1_200, point)
    assert len(lanes.placed) == n
    assert lanes.number <= MOST_LANES
    for lane in range(lanes.number):
        here = [p for p in lanes.placed if p.lane == lane]
        ends = [p.feature.end for p in here]
        assert all(p.feature.start >= end for p, end in zip(here[1:], ends, strict=False))


def test_names_without_room_are_a_key_of_colours_or_are_counted():
    few = Lanes.of(features(4, coloured=True), 0, 1_200, 0.1)
    assert (few.unnamed, few.key) == (0, {})
    keyed = Lanes.of(features(120, coloured=True), 0, 1_200, 5.0)
    assert (keyed.number, keyed.key) == (1, {"gene 0": "#0072b2", "gene 1": "#d55e00"})
    plain = Lanes.of(features(120, coloured=False), 0, 1_200, 5.0)
    assert plain.key == {}
    assert plain.unnamed > 0


def test_names_without_room_are_said_and_those_of_a_key_stand_in_it(folder, tmp_path, capsys):
    lines = [hit(100 + 2 * i, ("_odd", "even")[i % 2], colour=("1,2,3", "4,5,6")[i % 2]) for i in range(30)]
    hits = write(tmp_path / "h.bed", "\n".join(lines))
    figure = drawn(folder, ("chr1", 100, 160), beds=(str(hits),), size=(2.0, 4.0))
    assert {" _odd", "even"} <= set(words(figure))
    genes = write(tmp_path / "g.bed", "\n".join(f"chr1\t{100 + i}\t160\tgene_{i}" for i in range(30)))
    given = ["--genes", genes, "-o", tmp_path / "x.svg"]
    assert command("plot", folder / "a.h5", "chr1:101-160", *given) == 0
    assert "names have no room; draw a shorter stretch, or a wider figure" in capsys.readouterr().err


@pytest.mark.parametrize(("strand", "label"), [("+", "eve ▸"), ("-", "◂ eve"), (".", "eve")])
def test_a_label_says_the_strand_and_is_no_longer_than_it_may_be(strand, label):
    assert label_of(Feature("chr1", 0, 5, "eve", strand)) == label
    long = label_of(Feature("chr1", 0, 5, "x\x1b" + 1_000 * "y", strand))
    assert "x\\x1byy" in long
    assert len(long) <= 42


@pytest.mark.parametrize("ending", ["svg", "png", "pdf"])
def test_a_figure_with_all_rows_has_equal_bytes_for_equal_files(folder, tmp_path, ending):
    hits = write(tmp_path / "h.bed", hit(110))
    given = ["--with", folder / "long.h5", "--bigwig", folder / "c.bw", "--genes", folder / "genes.gtf",
             "--hits", hits, "--highlight", "120-130", "-q"]  # fmt: skip
    found = []
    for name in "xy":
        path = tmp_path / f"{name}.{ending}"
        assert command("plot", folder / "a.h5", "peak_1", *given, "-o", path) == 0
        found.append(path.read_bytes())
    assert found[0] == found[1]
