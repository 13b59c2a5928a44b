"""Hits over what overlapping windows cover together: each base once, with its mean relevance."""

from dataclasses import replace

import numpy as np
import pytest
from helpers.archives import write_archive
from helpers.commands import command

from sparselrp_cli.errors import InputError
from sparselrp_cli.motifs import stretches as stretches_module
from sparselrp_cli.motifs.hits import find_hits
from sparselrp_cli.motifs.null import Null
from sparselrp_cli.motifs.stretches import batches, padded, single_windows, stretches
from sparselrp_cli.outputs.archive import ACCOUNTING, ArchiveReader, ArchiveRows
from sparselrp_cli.sequences.windows import Window

pytest.importorskip("memelite")

LENGTH = 200
SITE = "TTGTTGCATACTTT"
MOTIF = ("pos_1", 1, 20.0 * (np.array([*SITE])[:, None] == np.array([*"ACGT"])))
NULL = Null("background", 0.01, np.zeros(1000), 0.0, 5.0, 100)
# The last two touch; between 380 and 390 lies nothing.
STARTS = (0, 100, 180, 390, 590)
PLACES = (95, 250, 583)


def rows_at(starts, sites=PLACES, seed=0, chrom="chr"):
    """Windows of one chromosome with sites, whose contributions differ from window to window."""
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 4, 1000)
    for place in sites:
        codes[place : place + len(SITE)] = ["ACGT".index(base) for base in SITE]
    n = len(starts)
    values = rng.normal(0, 0.05, (n, LENGTH))
    for row, start in zip(values, starts, strict=True):
        for place in sites:
            inside = np.arange(start, start + LENGTH)
            row[(inside >= place) & (inside < place + len(SITE))] += 1 + rng.random()
    one_hot = np.stack([np.eye(4, dtype=np.uint8)[codes[s : s + LENGTH]].T for s in starts])
    windows = [Window(chrom, s, s + LENGTH, f"w{i}", "+", i) for i, s in enumerate(starts)]
    accounts = {name: np.zeros((1, n)) for name in ACCOUNTING}
    return ArchiveRows(windows, one_hot, (one_hot * values[:, None])[None], accounts, np.zeros(n, np.int64))


@pytest.fixture
def archive(tmp_path):
    return write_archive(tmp_path / "a.h5", rows_at(STARTS), sizes={"chr": 1000}, dtype="float64")


def means(reader):
    """The mean contribution of each base, base by base."""
    total, count = {}, {}
    for row, window in enumerate(reader.windows(slice(None))):
        for i, value in enumerate(reader.contributions(slice(row, row + 1))[0]):
            at = window.start + i
            total[at], count[at] = total.get(at, 0) + value, count.get(at, 0) + 1
    return {at: total[at] / count[at] for at in total}


def test_each_site_is_one_hit_with_the_mean_of_the_windows_that_cover_it(archive):
    with ArchiveReader(archive) as reader:
        hits = find_hits(reader, [MOTIF], {1: NULL}, over="stretches")
        expected = means(reader)
    assert [(h.start, h.end, h.strand) for h in hits] == [(p, p + len(SITE), "+") for p in PLACES]
    for hit in hits:
        relevance = sum(expected[at] for at in range(hit.start, hit.end))
        assert hit.relevance == pytest.approx(relevance)
    # The nearest centre: 100, 280 and 490.
    assert [h.window for h in hits] == ["w0", "w2", "w3"]


def test_windows_one_by_one_dont_see_a_site_over_their_border(archive):
    with ArchiveReader(archive) as reader:
        hits = find_hits(reader, [MOTIF], {1: NULL})
    assert [h.start for h in hits] == list(PLACES[:2])


@pytest.mark.parametrize("longest", [1, 30, 150, 1 << 16])
def test_stretches_hold_each_base_once_whatever_their_length(archive, longest, monkeypatch):
    monkeypatch.setattr(stretches_module, "LONGEST", longest)
    with ArchiveReader(archive) as reader:
        expected = means(reader)
        found = {}
        for piece in stretches(reader, 0, len(SITE)):
            n = piece.one_hot.shape[1]
            assert len(piece.contributions) == n
            for at, value in zip(range(piece.start, piece.start + n), piece.contributions, strict=True):
                assert found.setdefault(at, value) == value
        assert found == pytest.approx(expected)
        hits = find_hits(reader, [MOTIF], {1: NULL}, over="stretches")
    assert [h.start for h in hits] == list(PLACES)


def test_pieces_of_a_long_stretch_give_every_match_once(tmp_path, monkeypatch):
    """Candidates, of which the q-values are, don't depend on where a stretch is cut."""
    rows = rows_at(tuple(range(0, 800, 50)), sites=tuple(range(10, 950, 37)))
    path = write_archive(tmp_path / "a.h5", rows, sizes={"chr": 1000}, dtype="float64")
    found = []
    for longest in (1, 60, 1 << 16):
        monkeypatch.setattr(stretches_module, "LONGEST", longest)
        with ArchiveReader(path) as reader:
            found.append(find_hits(reader, [MOTIF], {1: NULL}, fdr=1, over="stretches"))
    for hits in found:
        assert [h.start for h in hits] == list(range(10, 950, 37))
    for hits in found[:2]:
        for one, other in zip(hits, found[2], strict=True):
            assert replace(one, relevance=0, relevance_p=0, relevance_q=0) == replace(
                other, relevance=0, relevance_p=0, relevance_q=0
            )
            assert one.relevance == pytest.approx(other.relevance)
            assert one.relevance_q == pytest.approx(other.relevance_q)


def test_windows_of_other_bases_at_one_place_are_refused(tmp_path):
    rows = rows_at((0, 100))
    rows.one_hot[1] = rows.one_hot[1][:, ::-1]
    path = write_archive(tmp_path / "alt.h5", rows, sizes={"chr": 1000})
    with ArchiveReader(path) as reader, pytest.raises(InputError, match=r"alt\.h5: windows at chr:101 hold"):
        find_hits(reader, [MOTIF], {1: NULL}, over="stretches")


def test_pieces_searched_together_are_padded_with_unknown_bases(archive, monkeypatch):
    with ArchiveReader(archive) as reader:
        pieces = [*stretches(reader, 0, 14)]
        assert [p.one_hot.shape[1] for p in pieces] == [380, 400]
        stacked = padded(pieces)
        assert stacked.shape == (2, 4, 400)
        assert stacked[0, :, 380:].sum() == 0
        assert [len(batch) for batch in batches(pieces)] == [2]
        monkeypatch.setattr(stretches_module, "_MOST_BASES", 500)
        assert [len(batch) for batch in batches(pieces)] == [1, 1]
        assert [p.windows[0].name for p in single_windows(reader, 0)] == [f"w{i}" for i in range(5)]


@pytest.mark.parametrize(("words", "over"), [((), "windows"), (("--hits-over", "stretches"), "stretches")])
def test_the_command_looks_over_what_is_typed(archive, tmp_path, monkeypatch, words, over):
    asked = []
    monkeypatch.setattr("sparselrp_cli.motifs.search.search", lambda options: asked.append(options) or [])
    assert command("motifs", archive, "-o", tmp_path / "x", "--null", "permuted", *words, "-q") == 0
    assert [options.hits_over for options in asked] == [over]
