"""What the page carries of the windows: values to half a step, as many letters as fit, the right doubts."""

import base64
import json
from dataclasses import replace

import numpy as np
import pytest
from helpers.archives import random_places, random_rows, write_archive
from helpers.manifests import manifest

from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.report.embedding import (
    LARGEST,
    as_json,
    codes,
    packed,
    packed_bytes,
    quantised,
    rounded,
)
from sparselrp_cli.report.hits import Hit, hits_of_windows
from sparselrp_cli.report.windows import (
    EDGE_SHARE,
    KINDS,
    LEAST_SCORES,
    Accounts,
    doubtful,
    doubts,
    far_from_others,
    hit_columns,
    lettered,
    read_accounts,
    read_maps,
    share_at_ends,
    table,
    unpruned_letters,
)


def unpacked(text, length):
    number = np.frombuffer(base64.b64decode(text), np.uint8)
    return np.stack([number // 25, number // 5 % 5, number % 5], axis=1).ravel()[:length]


@pytest.mark.parametrize("largest", [0.0, 1e-30, 1.0, 3e7])
def test_quantised_values_are_right_to_half_a_step(largest):
    values = largest * np.random.default_rng(0).uniform(-1, 1, 97)
    step, text = quantised(values)
    whole = np.frombuffer(base64.b64decode(text), "<i2").astype(float)
    assert np.abs(step * whole - values).max() <= (0.5 + 1e-3) * step
    assert step <= largest / LARGEST * (1 + 1e-5)


@pytest.mark.parametrize("length", [1, 2, 3, 50])
def test_packed_bases_come_back_with_the_unknown_ones(length):
    numbers = np.random.default_rng(length).integers(0, 5, length).astype(np.uint8)
    one_hot = (numbers == np.arange(4)[:, None]).astype(np.uint8)
    assert (codes(one_hot) == numbers).all()
    assert (unpacked(packed(numbers), length) == numbers).all()


@pytest.mark.parametrize("length", [1, 2, 3, 50, 600])
def test_a_window_takes_no_more_of_the_page_than_is_reckoned(length):
    step, values = quantised(np.random.default_rng(0).normal(size=length))
    entry = [99999, step, values, packed(np.zeros(length, np.uint8))]
    assert len(json.dumps(entry[2:], separators=(",", ":"))) <= packed_bytes(length)


def test_json_for_the_page_cant_end_its_element_and_says_the_same():
    value = {"</script><!--&": ["\u2028\u2029 é", "\udcff", None, 1.5]}
    text = str(as_json(value))
    assert not set(text) & set("<>&")
    assert text.isascii()
    assert json.loads(text) == value


def test_numbers_that_json_has_no_word_for_are_none():
    assert rounded(np.array([1.23456, np.nan, np.inf, 0.0])) == [1.235, None, None, 0.0]


def accounts(score, error=0.0, zero=0.0, unknown=0.0):
    score = np.asarray(score, float)
    parts = (np.broadcast_to(np.asarray(part, float), score.shape) for part in (0.5, error, zero, unknown))
    return Accounts(score, *parts)


def test_letters_are_of_the_doubtful_and_then_of_the_highest_scores_as_many_as_fit():
    of_windows = accounts([5.0, 1, 4, 2, 3], error=[0, 0.5, 0, 0, 0])
    chosen = lettered(of_windows, 30, 2, budget=3 * 2 * packed_bytes(30) + 1)
    assert np.flatnonzero(chosen).tolist() == [0, 1, 2]
    assert lettered(of_windows, 30, 1).all()
    assert not lettered(of_windows, 30, 1, budget=10).any()


def test_doubtful_windows_are_listed_by_reason_the_worst_first():
    of_windows = accounts(
        [1.0, 2, 3, 4], error=[0.02, 0, 0.5, 0.01], zero=[1, 0.99, 0, 1], unknown=[0, 0, 0.1, 0]
    )
    edge = np.array([0.5, 0.6, 0, 0.9])
    found = {doubt.kind: (doubt.rows.tolist(), doubt.count) for doubt in doubts(of_windows, edge)}
    assert found == {
        "conservation": ([2, 0], 2), "unknown": ([2], 1), "silent": ([3, 0], 2), "tail": ([], 0),
        "edge": ([3, 1], 2),
    }  # fmt: skip
    bits = {kind: 1 << i for i, kind in enumerate(KINDS)}
    of_each = [{"conservation", "silent"}, {"edge"}, {"conservation", "unknown"}, {"silent", "edge"}]
    with_bits = 2 ** np.arange(len(KINDS)) @ doubtful(of_windows, edge)
    assert with_bits.tolist() == [sum(bits[kind] for kind in kinds) for kinds in of_each]


def test_a_score_is_far_from_all_others_by_robust_deviations_and_only_among_many():
    score = np.random.default_rng(0).normal(3, 2, 2000)
    # Of a normal distribution they are standard deviations.
    assert np.abs(far_from_others(score) - np.abs(score - 3) / 2).max() < 0.3
    assert far_from_others(np.append(score, 1e6)).argmax() == 2000
    assert not far_from_others(np.append(np.zeros(LEAST_SCORES - 2), 9.0)).any()
    assert not far_from_others(np.append(np.zeros(100), 9.0)).any()


@pytest.mark.parametrize(
    ("at", "expected"), [([0], 1), ([4], 1), ([5], 0), ([94], 0), ([95], 1), ([99], 1), ([0, 50], 0.5)]
)
def test_the_ends_are_a_twentieth_of_the_window_each(at, expected):
    values = np.zeros((1, 100))
    values[0, at] = [-2.0, 2.0][: len(at)]
    assert share_at_ends(values) == pytest.approx([expected])
    assert share_at_ends(np.zeros((2, 100))).tolist() == [0, 0]


@pytest.mark.parametrize("length", [1, 2, 3])
def test_ends_of_the_shortest_windows_count_no_base_twice(length):
    assert share_at_ends(np.ones((1, length))) == pytest.approx([min(2, length) / length])


def test_letters_of_listed_windows_with_relevance_at_an_end_are_there(archive):
    with ArchiveReader(archive / "a.h5") as reader:
        maps = read_maps(reader, 0, np.zeros(reader.n_windows, np.bool_))
        values = np.abs(reader.contributions(slice(0, reader.n_windows)).astype(float))
    share = values[:, [0, -1]].sum(axis=1) / np.maximum(values.sum(axis=1), 1e-300)
    assert maps.edge == pytest.approx(share)
    assert [entry[0] for entry in maps.letters] == np.flatnonzero(share > EDGE_SHARE).tolist()


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive with unknown bases, and one of other values on some of its windows, in another order."""
    folder = tmp_path_factory.mktemp("archive")
    rows = random_rows(sorted(set(random_places(30))), 20, dtype=np.float64)
    write_archive(folder / "a.h5", rows, dtype="float64", manifest=manifest().to_json())
    twin = replace(rows, hypothetical=rows.hypothetical + 1.0)
    write_archive(folder / "b.h5", twin[5:10], dtype="float64", manifest=manifest().to_json())
    return folder


def test_one_reading_gives_the_letters_that_are_wanted(archive):
    with ArchiveReader(archive / "a.h5") as reader:
        wanted = np.arange(reader.n_windows) % 3 == 1
        letters = read_maps(reader, 0, wanted).letters
        letters = [entry for entry in letters if wanted[entry[0]]]
        assert [entry[0] for entry in letters] == np.flatnonzero(wanted).tolist()
        for row, step, values, bases in letters:
            expected = reader.contributions(np.array([row]))[0]
            whole = np.frombuffer(base64.b64decode(values), "<i2")
            assert np.abs(step * whole - expected).max() <= 0.501 * step
            one_hot, _ = reader.read(np.array([row]))
            known = one_hot[0].any(axis=0)
            assert (unpacked(bases, 20) == np.where(known, one_hot[0].argmax(axis=0), 4)).all()


def test_unpruned_letters_are_of_the_windows_at_the_same_place(archive):
    with ArchiveReader(archive / "a.h5") as reader, ArchiveReader(archive / "b.h5") as twin:
        wanted = np.ones(reader.n_windows, np.bool_)
        letters = unpruned_letters(reader, twin, 0, wanted)
        assert [entry[0] for entry in letters] == list(range(5, 10))
        for row, step, values in letters:
            whole = np.frombuffer(base64.b64decode(values), "<i2")
            assert np.abs(step * whole - twin.contributions(np.array([row - 5]))[0]).max() <= 0.501 * step


def test_the_share_explained_is_that_of_relevance_among_the_parts_of_the_score(archive):
    with ArchiveReader(archive / "a.h5") as reader:
        parts = {
            name: np.abs(reader.column(name)) for name in ("relevance", "background", "absorbed", "lost")
        }
        expected = parts["relevance"] / sum(parts.values())
        assert np.allclose(read_accounts(reader, 0).explained, expected)


def test_the_table_names_only_chromosomes_that_have_windows(archive):
    with ArchiveReader(archive / "a.h5") as reader:
        columns = table(reader, read_accounts(reader, 0))
        windows = reader.windows(slice(None))
    assert set(columns["chroms"]) == {window.chrom for window in windows}
    assert [columns["chroms"][i] for i in columns["chrom"]] == [window.chrom for window in windows]
    assert columns["strand"] == [window.strand for window in windows]


def test_hits_are_found_in_every_window_they_touch(archive):
    rng = np.random.default_rng(1)
    hits = {
        chrom: [
            Hit(start, start + int(rng.integers(1, 15)), "known", "+", 1.0, str(rng.choice(["m", "n", "x"])))
            for start in rng.integers(0, 50, 12).tolist()
        ]
        for chrom in ("chr1", "chr2", "nowhere")
    }  # fmt: skip
    with ArchiveReader(archive / "a.h5") as reader:
        found = hits_of_windows(reader, hits, ["m", "n"])
        columns = hit_columns(found, reader)
        windows = reader.windows(slice(None))
    expected = sorted(
        (row, hit.start - window.start, hit.end - window.start, "mn".index(hit.motif))
        for row, window in enumerate(windows)
        for hit in hits.get(window.chrom, [])
        if hit.motif != "x" and hit.start < window.end and hit.end > window.start
    )
    assert expected
    assert sorted(zip(*(columns[c] for c in ("row", "start", "end", "motif")), strict=True)) == expected
    middles = [(start + end) / 2 - 10 for _, start, end, _ in expected]
    assert sorted(found.centre) == sorted(middles)
