"""Logos and bars in the page: letters as high as they should be, and names as text."""

import re
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from sparselrp_cli.report.drawing import (
    BETWEEN,
    FULL_BITS,
    HIGH,
    LEFT,
    ROW,
    WIDE,
    Span,
    bits_of_frequencies,
    draw_bars,
    draw_logo,
    draw_maps,
    glyphs,
    information,
    reversed_strand,
)
from sparselrp_cli.report.hits import Hit, WindowHits
from sparselrp_cli.report.motif_rows import motif_row, share_in_hits, shown_names

NUMBER = r"-?[\d.]+(?:e-?\d+)?"


def letters_of(logo):
    """Each letter of a logo: base, x, y of its top, height."""
    found = []
    for use in ET.fromstring(str(logo)).iter("use"):
        x, y, _, height = map(float, re.findall(NUMBER, use.get("transform")))
        found.append((use.get("class"), x, y, height))
    return found


@pytest.mark.parametrize("base", "ACGT")
def test_letters_fill_the_unit_square(base):
    path = glyphs()[base]
    points = np.array(re.findall(NUMBER, path), float).reshape(-1, 2)
    assert points.min() == 0
    assert (points.max(axis=0) == 1).all()
    # A stands on its feet: its widest place is below.
    if base == "A":
        assert points[points[:, 1] == 1][:, 0].max() == 1


def test_a_column_without_a_choice_has_no_information_and_one_of_one_base_nearly_two_bits():
    assert information(np.full((1, 4), 1e6)).sum() == pytest.approx(0, abs=1e-6)
    assert information(np.array([[1e9, 0, 0, 0]])).sum() == pytest.approx(2, abs=1e-6)
    assert bits_of_frequencies(np.array([[0, 0, 1.0, 0]])).tolist() == [[0, 0, pytest.approx(2), 0]]
    half = bits_of_frequencies(np.array([[0.5, 0.5, 0, 0]]))
    assert half[0] == pytest.approx([0.5, 0.5, 0, 0])


def test_bits_fill_a_logo_of_two_and_stand_on_each_other():
    letters = letters_of(draw_logo(np.array([[0.5, 1.0, 0, 0], [0, 0, 2.0, 0]]), "m", full=FULL_BITS))
    low, high, whole = letters
    assert [letter[0] for letter in letters] == ["A", "C", "G"]
    assert low[3] == pytest.approx(HIGH / 4)
    assert high[3] == pytest.approx(HIGH / 2)
    assert low[2] + low[3] == pytest.approx(HIGH)
    assert high[2] + high[3] == pytest.approx(low[2])
    assert whole[2:] == (0, HIGH)


@pytest.mark.parametrize("largest", [1e-6, 1.0, 50.0])
def test_contributions_fill_a_logo_whatever_their_size(largest):
    (letter,) = letters_of(draw_logo(np.array([[0, largest, 0, 0]]), "m"))
    assert letter[2:] == (0, HIGH)
    (half,) = letters_of(draw_logo(np.array([[0, 1.0, 0, 0]]), "m", full=FULL_BITS))
    assert half[3] == HIGH / 2


def test_contributions_against_the_score_hang_below_zero():
    up, down = letters_of(draw_logo(np.array([[3.0, 0, 0, 0], [0, 0, 0, -1.0]]), "m"))
    assert up == ("A", 0, 0, pytest.approx(0.75 * HIGH))
    assert down[0] == "T"
    assert down[2] == pytest.approx(0.75 * HIGH)
    assert down[2] + down[3] == pytest.approx(HIGH)


def test_the_other_strand_reads_backwards_with_complements():
    heights = np.array([[1.0, 0, 0, 0], [0, 2.0, 0, 0]])
    assert reversed_strand(heights).tolist() == [[0, 0, 2.0, 0], [0, 0, 0, 1.0]]


def test_labels_are_text():
    for drawn in (draw_logo(np.ones((1, 4)), '"><b>'), draw_bars(np.ones(3), '"><b>', "<", "&", ">")):
        assert ET.fromstring(str(drawn)).get("aria-label") == '"><b>'


def test_bars_are_as_high_as_their_counts():
    path = ET.fromstring(str(draw_bars(np.array([1.0, 0, 4.0]), "m", "a", "b", "c"))).find("path").get("d")
    assert [float(height) for height in re.findall(r"v-([\d.]+)", path)] == [17.5, 70]


NOTHING = WindowHits(np.empty(0, np.int64), np.empty(0, np.int64), [], ["m"], np.empty(0))


def matched(strand, offset, width=4):
    """A motif AACG of one sure base a column, and a known motif of `width` columns beside it."""
    ours = [[9, 0, 0, 0], [9, 0, 0, 0], [0, 9, 0, 0], [0, 0, 9, 0]]
    best = {
        "name": "MA1", "alt_name": "TF", "p": 0.0, "q": 0.0, "strand": strand, "offset": offset, "overlap": 3,
        "frequencies": [[1.0, 0, 0, 0]] * width,
    }  # fmt: skip
    return {"name": "m", "consensus": "AACG", "pfm": ours, "cwm": ours, "matches": [best]}


@pytest.mark.parametrize(
    ("strand", "offset", "columns", "base"),
    [("+", 1, 1, "A"), ("+", -2, -2, "A"), ("-", 1, 1, "T"), ("-", -1, -1, "T")],
)
def test_the_known_motif_stands_where_it_fits_best_on_our_strand(strand, offset, columns, base):
    row = motif_row(matched(strand, offset), "TF", NOTHING, 0, 100)
    known, ours = letters_of(row["known_logo"]), letters_of(row["forward"][0])
    assert {letter[0] for letter in known} == {base}
    assert min(letter[1] for letter in known) - min(letter[1] for letter in ours) == WIDE * columns
    logos = (row["known_logo"], *row["forward"], *row["reverse"])
    assert len({ET.fromstring(str(logo)).get("width") for logo in logos}) == 1


def test_a_record_of_before_has_no_logo_of_the_database():
    record = matched("+", 0)
    del record["matches"][0]["frequencies"]
    assert motif_row(record, "TF", NOTHING, 0, 100)["known_logo"] is None


def test_motifs_are_called_as_their_hits_are():
    hits = [Hit(0, 9, "su(Hw)", "+", 1.0, "b")]
    found = WindowHits(np.array([0]), np.array([1]), hits, ["a", "b"], np.zeros(1))
    assert shown_names([{"name": "a"}, {"name": "b"}], found) == ["a", "su(Hw)"]


@pytest.mark.parametrize(("mass", "expected"), [(10.0, 0.35), (2.0, 1.0), (0.0, None)])
def test_the_share_of_relevance_in_hits_is_at_most_all_of_it(mass, expected):
    hits = [Hit(0, 5, "n", "+", relevance, "m") for relevance in (2.0, -1.5, 9.0)]
    found = WindowHits(np.arange(3), np.array([0, 0, 1]), hits, ["m", "o"], np.zeros(3))
    assert share_in_hits(found, 0, mass) == (expected if expected is None else pytest.approx(expected))


def test_maps_are_drawn_to_one_scale_with_their_positions_and_marks():
    up, down = np.zeros((20, 4)), np.zeros((20, 4))
    up[3, 0], down[4, 2] = 2.0, -1.0
    drawn = draw_maps([("one", up), ("other", down)], 96, "both", [Span(98, 101, "su(Hw) +")])
    (first, x, y, height), (second, _, below, depth) = letters_of(drawn)
    assert (first, second) == ("A", "G")
    assert height == pytest.approx(2 * depth, abs=0.02)
    assert height + depth == pytest.approx(ROW, abs=0.02)
    assert (x - LEFT) / WIDE == 3
    # Each hangs on the zero of its row.
    assert below - (y + height) == pytest.approx(ROW + BETWEEN, abs=0.02)
    tree = ET.fromstring(str(drawn))
    texts = {text.text: float(text.get("x")) for text in tree.iter("text")}
    assert {"su(Hw) +", "one", "other", "100", "110"} == set(texts)
    assert texts["100"] == LEFT + WIDE * 4.5
    (mark,) = tree.iter("rect")
    assert (float(mark.get("x")), float(mark.get("width"))) == (LEFT + 2 * WIDE, 3 * WIDE)


def test_maps_without_relevance_and_with_hostile_names_are_drawn():
    drawn = str(draw_maps([("<b>", np.zeros((5, 4)))], 1, '"><script>', [Span(1, 3, "</svg>\n&")]))
    assert not letters_of(drawn)
    assert "<script>" not in drawn
    assert [text.text for text in ET.fromstring(drawn).iter("text")] == ["</svg> &", "<b>"]
