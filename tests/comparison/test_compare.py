"""Runs compared: which windows match, and numbers that slow and obvious ways give, too."""

import json
from dataclasses import replace

import numpy as np
import pyBigWig
import pytest
from helpers.archives import random_rows, rows_of_contributions, write_archive
from helpers.commands import command, error_line, table, write
from helpers.manifests import manifest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from sparselrp_cli.comparison import matching
from sparselrp_cli.comparison.compare import MEANS, CompareOptions, compare
from sparselrp_cli.comparison.matching import match
from sparselrp_cli.comparison.measures import correlations, measure
from sparselrp_cli.comparison.members import opened, split
from sparselrp_cli.errors import InputError
from sparselrp_cli.files.digest import FileEntry, sha256

LENGTH = 30
PLACES = [("chr1", 5), ("chr2", 40), ("chr1", 100), ("chr1", 120)]
SIZES = {"chr2": 500, "chr1": 500}
INPUTS = {name: FileEntry(f"{name}.fa", 10, "0" * 64) for name in ("sequences", "regions")}
ON_GENOME = replace(manifest(), inputs=INPUTS).to_json()


def archive(path, values, places=PLACES, **more):
    """An archive of contributions, all at base A."""
    rows = rows_of_contributions(places, values)
    score = np.asarray(values).sum(axis=1)[np.newaxis]
    rows = replace(rows, accounting={**rows.accounting, "score": score})
    write_archive(path, rows, sizes=SIZES, manifest=ON_GENOME, dtype="float64", **more)
    return str(path)


@pytest.fixture
def two(tmp_path):
    """Two runs of other values on the same windows, and their values."""
    rng = np.random.default_rng(0)
    values = [rng.normal(size=(len(PLACES), LENGTH)), rng.normal(0.1, 2, size=(len(PLACES), LENGTH))]
    runs = [archive(tmp_path / f"{name}.h5", v) for name, v in zip("ab", values, strict=True)]
    return runs, values


def compared(folder, runs, **options):
    return compare(CompareOptions(tuple(runs), folder / "x", **options))


maps = arrays(np.float64, (3, 12), elements=st.floats(-5, 5, width=16))


@given(maps, maps, st.integers(1, 12))
def test_measures_are_what_their_definitions_say(a, b, span):
    found = measure(a, b, span)
    for i in range(len(a)):
        mass_a, mass_b = sum(map(abs, a[i])), sum(map(abs, b[i]))
        assert found.mass_a[i] == pytest.approx(mass_a)
        assert found.mass_b[i] == pytest.approx(mass_b)
        if mass_a + mass_b:
            share = sum(abs(y - x) for x, y in zip(a[i], b[i], strict=True)) / (mass_a + mass_b)
            assert found.differing_share[i] == pytest.approx(share)
            assert 0 <= found.differing_share[i] <= 1 + 1e-12
        else:
            assert np.isnan(found.differing_share[i])
        sums = [(b[i] - a[i])[j : j + span].sum() for j in range(12 - span + 1)]
        assert abs(found.span_difference[i]) == pytest.approx(max(map(abs, sums)), abs=1e-9)
        assert sums[found.span_start[i]] == pytest.approx(found.span_difference[i], abs=1e-9)


@given(maps, maps)
def test_correlations_are_pearsons_and_nan_of_constants(a, b):
    for x, y, found in zip(a, b, correlations(a, b), strict=True):
        if np.ptp(x) == 0 or np.ptp(y) == 0:
            assert np.isnan(found)
        else:
            assert found == pytest.approx(np.corrcoef(x, y)[0, 1], abs=1e-9)


def test_a_run_beside_itself_times_three_differs_in_nothing_but_its_score(tmp_path):
    values = np.random.default_rng(1).normal(size=(len(PLACES), LENGTH))
    runs = [archive(tmp_path / "a.h5", values), archive(tmp_path / "b.h5", 3 * values)]
    (pair,) = compared(tmp_path, runs).pairs
    assert pair.means["correlation"].mean == pytest.approx(1)
    assert pair.means["differing_share"].mean == pytest.approx(0, abs=1e-9)
    assert pair.means["mass_difference"].mean == pytest.approx(0, abs=1e-9)
    assert pair.means["score_difference"].mean == pytest.approx(2 * values.sum(axis=1).mean())
    (raw,) = compared(tmp_path, runs, normalise="none").pairs
    assert raw.means["mass_difference"].mean == pytest.approx(2 * np.abs(values).sum(axis=1).mean())
    assert raw.means["differing_share"].mean == pytest.approx(0.5)


def test_the_table_has_each_window_in_genome_order_with_its_numbers(tmp_path, two):
    runs, (a, b) = two
    done = compared(tmp_path, runs, span=4)
    a, b = (v / np.abs(v).mean() for v in (a, b))
    lines = table(tmp_path / "x.compare.tsv")
    assert [(line["chrom"], line["start"]) for line in lines] == [
        ("chr2", "40"), ("chr1", "5"), ("chr1", "100"), ("chr1", "120")
    ]  # fmt: skip
    for line in lines:
        row = PLACES.index((line["chrom"], int(line["start"])))
        assert (line["name"], line["a"], line["b"]) == (f"peak_{row}", "a", "b")
        assert int(line["end"]) - int(line["start"]) == LENGTH
        assert float(line["mass_b"]) == pytest.approx(np.abs(b[row]).sum())
        assert float(line["correlation"]) == pytest.approx(np.corrcoef(a[row], b[row])[0, 1])
        first, last = (int(line[name]) - int(line["start"]) for name in ("span_start", "span_end"))
        assert last - first == 4
        assert float(line["span_difference"]) == pytest.approx((b - a)[row, first:last].sum())
    means = {line["measure"]: line for line in table(tmp_path / "x.compare.means.tsv")}
    assert tuple(means) == MEANS
    for name, line in means.items():
        assert float(line["mean"]) == pytest.approx(np.mean([float(each[name]) for each in lines]))
        assert float(line["low"]) <= float(line["mean"]) <= float(line["high"])
    assert done.windows == len(PLACES)


def test_the_windows_that_differ_most_come_first(tmp_path):
    a = np.ones((4, LENGTH))
    b = a.copy()
    b[2, :20] = -1
    b[0, :5] = -1
    (pair,) = compared(tmp_path, [archive(tmp_path / "a.h5", a), archive(tmp_path / "b.h5", b)]).pairs
    assert [w.name for w in pair.changed[:2]] == ["peak_2", "peak_0"]
    assert pair.changed[0].place == "chr1:101-130"
    assert pair.changed[0].differing_share == pytest.approx(20 / 30)


def test_windows_match_by_place_in_any_order_and_by_sequence(tmp_path, caplog):
    rows = random_rows(PLACES, LENGTH, seed=3)
    other = random_rows(PLACES, LENGTH, seed=3)
    order = [3, 0, 2, 1]
    changed = other.one_hot.copy()
    changed[2] = changed[2, ::-1]
    shuffled = replace(other, one_hot=changed)
    shuffled = type(shuffled)(
        [shuffled.windows[i] for i in order], shuffled.one_hot[order], shuffled.hypothetical[:, order],
        {name: v[:, order] for name, v in shuffled.accounting.items()}, shuffled.n_unknown[order],
    )  # fmt: skip
    write_archive(tmp_path / "a.h5", rows, sizes=SIZES)
    write_archive(tmp_path / "b.h5", shuffled, sizes=dict(reversed(SIZES.items())))
    with opened([str(tmp_path / "a.h5"), str(tmp_path / "b.h5")], None) as members:
        shared = match(members)
    assert shared.rows[0].tolist() == [1, 0, 3]
    assert [order[i] for i in shared.rows[1]] == [1, 0, 3]
    assert (shared.other_sequence, shared.only) == (1, (0, 0))
    done = compared(tmp_path, [tmp_path / "a.h5", tmp_path / "b.h5"])
    assert done.pairs[0].means["differing_share"].mean == pytest.approx(0)
    assert "1 window has another sequence, and no part in this" in caplog.text


def test_windows_that_not_all_have_are_counted_and_said(tmp_path, caplog):
    values = np.random.default_rng(0).normal(size=(4, LENGTH))
    runs = [
        archive(tmp_path / "a.h5", values),
        archive(tmp_path / "b.h5", values[:3], PLACES[:3]),
        archive(tmp_path / "c.h5", values[1:3], [PLACES[1], ("chr1", 300)]),
    ]
    done = compared(tmp_path, runs)
    assert (done.windows, done.only) == (1, (3, 2, 1))
    assert "a: 3 of 4 windows aren't in all runs, and left out" in caplog.text
    assert [pair.b for pair in done.pairs] == ["b", "c"]
    assert (tmp_path / "x.compare.b.bw").is_file()
    assert (tmp_path / "x.compare.c.bw").is_file()


@pytest.mark.parametrize(("before", "after"), [("abc", "ab"), ("ab", "abc"), ("abcd", "adc")])
def test_the_tracks_of_another_comparison_go(tmp_path, before, after):
    values = np.random.default_rng(0).normal(size=(4, LENGTH))
    runs = {name: archive(tmp_path / f"{name}.h5", values * n) for n, name in enumerate("abcd", 1)}
    (tmp_path / "x.compare.mine.bw").write_text("not of a comparison")
    for names in (before, after):
        done = compared(tmp_path, [runs[name] for name in names])
    assert {path.name for path in tmp_path.glob("x.*")} == {
        "x.compare.mine.bw",
        *(path.name for path in done.files),
    }


def test_a_place_that_is_there_twice_matches_in_its_order(tmp_path):
    values = np.random.default_rng(0).normal(size=(3, LENGTH))
    places = [("chr1", 50), ("chr1", 50), ("chr1", 90)]
    runs = [archive(tmp_path / f"{n}.h5", values, places) for n in "ab"]
    done = compared(tmp_path, runs)
    assert done.windows == 3
    assert done.pairs[0].means["differing_share"].high == pytest.approx(0)


@pytest.mark.parametrize("longer", [LENGTH + 10, LENGTH + 7])
def test_windows_of_other_lengths_are_compared_in_their_middle(tmp_path, caplog, longer):
    """Each length L begins L // 2 before the centre."""
    values = np.random.default_rng(0).normal(size=(4, longer))
    begin = longer // 2 - LENGTH // 2
    inner = values[:, begin : begin + LENGTH]
    runs = [
        archive(tmp_path / "a.h5", inner),
        archive(tmp_path / "b.h5", values, [(chrom, start - begin) for chrom, start in PLACES]),
    ]
    (pair,) = compared(tmp_path, runs).pairs
    assert pair.means["differing_share"].mean == pytest.approx(0)
    assert f"the windows have 30 and {longer} bp; compared are the 30 bp in their middle" in caplog.text
    assert len(table(tmp_path / "x.compare.tsv")) == 4


def test_blocks_make_no_difference(tmp_path, two, monkeypatch):
    runs, _ = two
    compared(tmp_path, runs)
    whole = (tmp_path / "x.compare.tsv").read_bytes(), (tmp_path / "x.compare.bw").read_bytes()
    monkeypatch.setattr(matching, "_BATCH_BYTES", 1)
    compared(tmp_path, runs)
    assert ((tmp_path / "x.compare.tsv").read_bytes(), (tmp_path / "x.compare.bw").read_bytes()) == whole


def test_the_track_is_the_difference_at_every_base(tmp_path, two):
    runs, (a, b) = two
    compared(tmp_path, runs)
    difference = b / np.abs(b).mean() - a / np.abs(a).mean()
    with pyBigWig.open(str(tmp_path / "x.compare.bw")) as file:
        assert file.chroms() == SIZES
        found = file.values("chr1", 0, 500, numpy=True)
        np.testing.assert_allclose(file.values("chr2", 40, 70), difference[1], rtol=1e-6)
    np.testing.assert_allclose(found[5:35], difference[0], rtol=1e-6)
    # Bases of two windows have the value of the nearer centre.
    np.testing.assert_allclose(found[100:125], difference[2, :25], rtol=1e-6)
    np.testing.assert_allclose(found[125:150], difference[3, 5:], rtol=1e-6)
    assert np.isnan(found[35:100]).all()


def hit(chrom, start, end, name, own="pos_1"):
    place = f"{chrom}\t{start}\t{end}"
    return f"{place}\t{name}\t30\t+\t{start}\t{end}\t0,114,178\t2.5\t1e-5\t1e-5\tw\t{own}\tyes\n"


HITS_A = hit("chr1", 10, 16, "su(Hw)") + hit("chr2", 50, 55, "su(Hw)")
HITS_A += hit("chr1", 101, 105, "pos_2", "pos_2")
HITS_B = hit("chr1", 12, 18, "su(Hw)") + hit("chr1", 128, 140, "CTCF") + hit("chr1", 400, 410, "CTCF")


def test_motifs_have_the_hits_of_each_run_and_the_contributions_at_all_their_places(tmp_path, two):
    runs, (a, b) = two
    hits = [str(write(tmp_path / f"{n}.bed", text)) for n, text in (("a", HITS_A), ("b", HITS_B))]
    done = compared(tmp_path, runs, hits=tuple(hits))
    a, b = (v / np.abs(v).mean() for v in (a, b))
    # Row, start and end of each place in its window: hits of both runs that overlap are one.
    places = {"su(Hw)": [(0, 5, 13), (1, 10, 15)], "CTCF": [(3, 8, 20)], "a:pos_2": [(2, 1, 5)]}
    counts = {"su(Hw)": (2, 1), "CTCF": (0, 1), "a:pos_2": (1, 0)}
    lines = {line["motif"]: line for line in table(tmp_path / "x.compare.motifs.tsv")}
    assert set(lines) == set(places)
    for motif, line in lines.items():
        means = [np.mean([v[r, s:e].sum() for r, s, e in places[motif]]) for v in (a, b)]
        assert (int(line["hits_a"]), int(line["hits_b"])) == counts[motif]
        assert int(line["places"]) == len(places[motif])
        assert float(line["mean_a"]) == pytest.approx(means[0])
        assert float(line["mean_b"]) == pytest.approx(means[1])
        assert float(line["difference"]) == pytest.approx(means[1] - means[0])
        assert float(line["low"]) <= float(line["difference"]) <= float(line["high"])
    sizes = [abs(motif.difference.mean) for motif in done.pairs[0].motifs]
    assert sizes == sorted(sizes, reverse=True)


def seal(folder, name, text):
    """Hits beside an archive, as `motifs` leaves them."""
    hits = write(folder / f"{name}.hits.bed", text)
    entry = replace(FileEntry.of(hits), file="hits.bed").to_json()
    record = {"archive": {"sha256": sha256(folder / f"{name}.h5")}, "outputs": [entry]}
    write(folder / f"{name}.motifs.json", json.dumps(record))


def test_hits_beside_the_archives_are_read_if_they_are_of_them(tmp_path, two, caplog):
    runs, _ = two
    seal(tmp_path, "a", HITS_A)
    seal(tmp_path, "b", HITS_B)
    assert {m.motif for m in compared(tmp_path, runs).pairs[0].motifs} == {"su(Hw)", "CTCF", "a:pos_2"}
    write(tmp_path / "b.hits.bed", HITS_A)
    assert {m.motif for m in compared(tmp_path, runs).pairs[0].motifs} == {"su(Hw)", "a:pos_2"}
    assert "b.hits.bed isn't of" in caplog.text
    assert "b: no hits of motifs beside the archive" in caplog.text
    # What wasn't looked for isn't 0.
    assert {line["hits_b"] for line in table(tmp_path / "x.compare.motifs.tsv")} == {"nan"}


def test_without_hits_there_is_no_table_of_motifs(tmp_path, two):
    runs, _ = two
    done = compared(tmp_path, runs)
    assert [file.name for file in done.files] == [
        "x.compare.tsv", "x.compare.means.tsv", "x.compare.bw", "x.compare.html", "x.compare.json"
    ]  # fmt: skip


def test_the_record_says_what_was_compared(tmp_path, two):
    runs, (a, _) = two
    done = compared(tmp_path, runs, span=7)
    record = json.loads((tmp_path / "x.compare.json").read_text())
    assert record["schema_version"] == 1
    assert [run["label"] for run in record["runs"]] == ["a", "b"]
    assert record["runs"][0]["archive"]["sha256"] == sha256(tmp_path / "a.h5")
    assert record["runs"][0]["mean_absolute_contribution"] == pytest.approx(np.abs(a).mean())
    assert record["settings"] == {"normalise": "mean", "span": 7, "overlap": "nearest-centre", "seed": 0}
    assert [entry["file"] for entry in record["outputs"]] == [file.name for file in done.files[:-1]]


def test_two_targets_of_one_archive_are_compared(tmp_path, capsys):
    rows = random_rows(PLACES, LENGTH, n_targets=2, seed=4)
    path = write_archive(tmp_path / "a.h5", rows, sizes=SIZES)
    assert command("compare", f"{path}@task/0", f"{path}@task/1", "-o", tmp_path / "x", "-q") == 0
    assert "task/1 compared with task/0" in capsys.readouterr().out
    assert not (tmp_path / "x.compare.bw").exists()
    lines = table(tmp_path / "x.compare.tsv")
    assert {(line["a"], line["b"]) for line in lines} == {("task/0", "task/1")}
    assert float(lines[0]["score_a"]) == pytest.approx(rows.accounting["score"][0, 1])


def test_an_archive_and_its_target_are_split_at_the_first_file(tmp_path):
    path = write(tmp_path / "a@b.h5", "")
    assert split(str(path)) == (path, None)
    assert split(f"{path}@profile@centre") == (path, "profile@centre")
    assert split("no.h5") == (split("no.h5")[0], None)


def test_labels_tell_runs_apart(tmp_path):
    values = np.random.default_rng(0).normal(size=(4, LENGTH))
    for folder in ("p0", "p1"):
        (tmp_path / folder).mkdir()
        archive(tmp_path / folder / "run.h5", values)
    runs = [str(tmp_path / folder / "run.h5") for folder in ("p0", "p1")]
    with opened(runs, None) as members:
        assert [member.label for member in members] == ["p0/run", "p1/run"]


def test_the_summary_says_what_differs(tmp_path, two, capsys):
    runs, _ = two
    seal(tmp_path, "a", HITS_A)
    seal(tmp_path, "b", HITS_B)
    assert command("compare", *runs, "-o", tmp_path / "new" / "x") == 0
    out, err = capsys.readouterr()
    lines = [line.split("\t") for line in out.splitlines()]
    assert lines[0] == ["windows", "4 in all of a, b"]
    assert lines[2] == ["b compared with a"]
    # Relevance is in units of each run's own: its means are equal by definition, and aren't said.
    said = [name.replace("_", " ") for name in MEANS if name != "mass_difference"]
    assert [line[0] for line in lines[3:6]] == said
    assert {line[0] for line in lines[6:]} == {"differs most", "su(Hw)", "CTCF", "a:pos_2"}
    assert "x.compare.tsv" in err


def test_without_a_unit_of_its_own_the_mass_is_said(tmp_path, two, capsys):
    runs, _ = two
    assert command("compare", *runs, "-o", tmp_path / "x", "--normalise", "none") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("\t")[0] for line in lines[3:7]] == [name.replace("_", " ") for name in MEANS]


def test_equal_runs_give_equal_bytes(tmp_path, two):
    runs, _ = two
    for name in "xy":
        compare(CompareOptions(tuple(runs), tmp_path / name))
    for ending in ("tsv", "means.tsv", "bw"):
        assert (tmp_path / f"x.compare.{ending}").read_bytes() == (
            tmp_path / f"y.compare.{ending}"
        ).read_bytes()


def with_other_regions(folder, runs):
    archive(folder / "c.h5", np.ones((1, LENGTH)), [("chr1", 333)])
    return [runs[0], folder / "c.h5"], "the runs have no window in common; explain the same regions with both"


def with_other_sequences(folder, runs):
    rows = rows_of_contributions(PLACES, np.ones((4, LENGTH)))
    write_archive(folder / "c.h5", replace(rows, one_hot=rows.one_hot[:, ::-1]), sizes=SIZES)
    return [runs[0], folder / "c.h5"], "no window in common; 4 have the same place and another sequence"


def with_no_relevance(folder, runs):
    return [
        runs[0],
        archive(folder / "c.h5", np.zeros((4, LENGTH))),
    ], "c has no relevance in the shared windows"


def with_the_same_run(folder, runs):
    return [runs[0], runs[0]], "a run is named twice"


def with_a_target_that_isnt(folder, runs):
    return [runs[0], f"{runs[1]}@liver"], "has no target 'liver'; give --target, one of task/0"


def with_no_window(folder, runs):
    archive(folder / "c.h5", np.ones((0, LENGTH)), [])
    return [runs[0], folder / "c.h5"], "the runs have no window in common"


@pytest.mark.parametrize(
    "case",
    [
        with_other_regions, with_other_sequences, with_no_relevance, with_the_same_run,
        with_a_target_that_isnt, with_no_window,
    ],
)  # fmt: skip
def test_what_cant_be_compared_is_said_in_one_line(tmp_path, two, capsys, case):
    given, said = case(tmp_path, two[0])
    assert command("compare", *given, "-o", tmp_path / "x", "-q") == 1
    assert said in error_line(capsys)
    assert not list(tmp_path.glob("x.*"))


def test_what_is_typed_wrong_is_wrong_usage(tmp_path, two, capsys):
    runs, _ = two
    assert command("compare", runs[0], "-o", tmp_path / "x") == 2
    assert "a comparison takes two runs or more" in capsys.readouterr().err
    assert command("compare", *runs, "--hits", "a.bed", "-o", tmp_path / "x") == 2
    assert "--hits is given once for each run, or not at all" in capsys.readouterr().err


def test_maps_without_relevance_are_compared_as_they_are(tmp_path, two):
    runs, _ = two
    archive(tmp_path / "c.h5", np.zeros((4, LENGTH)))
    (pair,) = compared(tmp_path, [runs[0], tmp_path / "c.h5"], normalise="none").pairs
    assert pair.means["correlation"].windows == 0
    assert pair.means["differing_share"].mean == pytest.approx(1)


def test_a_file_of_hits_that_isnt_one_is_refused(tmp_path, two):
    runs, _ = two
    bad = str(write(tmp_path / "bad.bed", "chr1\tx\t5\n"))
    with pytest.raises(InputError, match=r"bad.bed line 1: 'chr1 x 5' isn't chromosome, start and end"):
        compared(tmp_path, runs, hits=(bad, bad))
