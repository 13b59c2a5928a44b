"""BigWigs as the format describes them: values, index, zoom levels and summary; as readers see them."""

import math
import subprocess
import sys
import zlib
from collections import defaultdict
from itertools import pairwise

import numpy as np
import pybigtools
import pyBigWig
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.bigwig import BigWig, blocks_of

from sparselrp_cli.outputs.bigwig import stretches, write_runs, zoom
from sparselrp_cli.outputs.bigwig.blocks import CELL
from sparselrp_cli.outputs.bigwig.index import IN_NODE, PLACE, index_of
from sparselrp_cli.outputs.bigwig.zoom import FACTOR, FINEST, MOST_LEVELS, PER_BLOCK
from sparselrp_cli.outputs.track_runs import Run

law = settings(max_examples=20)
SIZES = {"chrB": 5 * CELL, "none": 12, "chrA": 3 * CELL + 77, "short": 1}
SLACK = 1e-12


def random_values(kind, n, seed):
    """Values of a stretch, of one kind."""
    rng = np.random.default_rng(seed)
    normal = rng.normal(size=n)
    values = {
        "dense": normal,
        "negative": -np.abs(normal),
        "sparse": np.where(rng.random(n) < 0.02, normal, 0),
        "few": np.round(normal),
        "equal": np.full(n, normal[0]),
        "zero": np.zeros(n),
        "tiny": normal * 1e-42,
        "huge": normal * 5e37,
    }[kind]
    return values.astype(np.float32) + np.float32(0)


kinds = st.sampled_from(["dense", "negative", "sparse", "few", "equal", "zero", "tiny", "huge"])
seeds = st.integers(0, 1000)
gaps = st.one_of(st.integers(0, 3), st.integers(0, 900), st.integers(CELL - 5, CELL + 5))
lengths = st.one_of(st.integers(1, 3), st.integers(1, 900), st.integers(CELL - 3, CELL + 3))


@st.composite
def tracks(draw):
    """Runs in genome order, some of which go on where the one before ends."""
    runs = []
    for chrom, size in SIZES.items():
        at = 0
        for gap, length, kind, seed in draw(st.lists(st.tuples(gaps, lengths, kinds, seeds), max_size=5)):
            at += gap
            values = random_values(kind, length, seed)[: max(0, size - at)]
            if len(values) and chrom != "none":
                runs.append(Run(chrom, at, values))
            at += length
    return runs


def written(path, runs, sizes=SIZES, threads=1):
    write_runs(path, sizes, runs, threads)
    return BigWig(path)


def values_of(runs):
    return {(run.chrom, run.start + i): float(v) for run in runs for i, v in enumerate(run.values)}


def joined(intervals):
    """Intervals of equal values, those that touch made one."""
    found = []
    for start, end, value in intervals:
        if found and found[-1][1] == start and found[-1][2] == value:
            found[-1] = (found[-1][0], end, value)
        else:
            found.append((start, end, value))
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("bigwigs")


@given(tracks())
@law
def test_every_reader_gives_the_values_that_were_written(folder, runs):
    expected = values_of(runs)
    path = folder / "run.bw"

    assert written(path, runs).values() == expected

    theirs = pybigtools.open(str(path))
    assert theirs.chroms() == SIZES
    with pyBigWig.open(str(path)) as file:
        assert list(file.chroms().items()) == list(SIZES.items())
        assert file.header()["nBasesCovered"] == len(expected)
        for chrom, size in SIZES.items():
            of_chrom = {base: value for (each, base), value in expected.items() if each == chrom}
            bases = [of_chrom.get(base, np.nan) for base in range(size)]
            np.testing.assert_array_equal(file.values(chrom, 0, size), bases)
            wanted = joined((base, base + 1, value) for base, value in of_chrom.items())
            assert joined(file.intervals(chrom) or ()) == wanted
            assert joined(theirs.records(chrom)) == wanted


def bins(values, size):
    """Bins as they should be, made of all values: {(chromosome, number): what a record has}."""
    found = defaultdict(dict)
    for (chrom, base), value in values.items():
        found[chrom, base // size][base] = value
    return {
        key: (
            min(held), max(held) + 1, len(held), min(held.values()), max(held.values()),
            math.fsum(held.values()), math.fsum(v * v for v in held.values()),
            math.fsum(map(abs, held.values())),
        )
        for key, held in found.items()
    }  # fmt: skip


def close(found, exact, total):
    """Whether a float32 is what a sum in float64 rounds to, however its terms were put together."""
    with np.errstate(over="ignore", under="ignore"):
        return found in np.float32([exact - SLACK * total, exact, exact + SLACK * total])


@given(tracks())
@law
def test_zoom_levels_and_the_summary_are_sums_over_all_values(folder, runs):
    values = values_of(runs)
    file = written(folder / "zoom.bw", runs)

    sizes = [FINEST * FACTOR**i for i in range(MOST_LEVELS)]
    expected = {size: bins(values, size) for size in sizes if size < max(SIZES.values())}
    fewest, kept = math.inf, []
    for size, of_size in expected.items():
        if 0 < len(of_size) < fewest:
            fewest = len(of_size)
            kept.append(size)
    assert list(file.levels) == kept
    names = list(SIZES)
    for size, records in file.levels.items():
        assert [(names[r.chrom], r.start // size) for r in records] == list(expected[size])
        for record, wanted in zip(records, expected[size].values(), strict=True):
            found = record.start, record.end, record.count, record.minimum, record.maximum
            assert found == wanted[:5]
            assert close(record.sum, wanted[5], wanted[7])
            assert close(record.squares, wanted[6], wanted[6])

    assert file.n_bases == len(values)
    assert (file.minimum, file.maximum) == (min(values.values(), default=0), max(values.values(), default=0))
    total = math.fsum(map(abs, values.values()))
    assert file.sum == pytest.approx(math.fsum(values.values()), rel=0, abs=SLACK * total)
    assert file.squares == pytest.approx(math.fsum(v * v for v in values.values()), rel=SLACK)


@given(tracks(), st.randoms(use_true_random=False))
@law
def test_where_runs_are_cut_does_not_move_a_byte(folder, runs, chance):
    one, other = folder / "one.bw", folder / "other.bw"
    cut = []
    for run in runs:
        at = sorted(chance.sample(range(len(run.values) + 1), min(3, len(run.values))))
        for start, end in pairwise([0, *at, len(run.values)]):
            if start < end:
                cut.append(Run(run.chrom, run.start + start, run.values[start:end]))

    write_runs(one, SIZES, runs)
    write_runs(other, SIZES, cut)

    assert one.read_bytes() == other.read_bytes()


def long_track(n=60, seed=0):
    """Windows on two chromosomes, some of which touch: more than a batch of values."""
    rng = np.random.default_rng(seed)
    for chrom in ("a", "b"):
        at = 0
        for gap, length in zip(
            rng.integers(0, 4000, n) // 1000 * 1000, rng.integers(1, 9000, n), strict=True
        ):
            at += int(gap)
            yield Run(chrom, at, rng.normal(size=length).astype(np.float32))
            at += int(length)


LONG_SIZES = {"a": 1 << 20, "b": 1 << 20}


@pytest.fixture(scope="module")
def long_file(folder):
    write_runs(folder / "long.bw", LONG_SIZES, long_track())
    return folder / "long.bw"


def test_threads_and_batches_do_not_move_a_byte(folder, long_file, monkeypatch):
    for threads, batch in [(1, 1), (2, stretches.BATCH), (5, 3 * CELL), (16, 40_000)]:
        monkeypatch.setattr(stretches, "BATCH", batch)
        write_runs(folder / "one.bw", LONG_SIZES, long_track(), threads)
        assert (folder / "one.bw").read_bytes() == long_file.read_bytes()


def test_what_does_not_stay_in_memory_is_the_same_file(folder, long_file, monkeypatch):
    monkeypatch.setattr(zoom, "IN_MEMORY", 1)
    (folder / "alone").mkdir()
    write_runs(folder / "alone" / "two.bw", LONG_SIZES, long_track())
    assert (folder / "alone" / "two.bw").read_bytes() == long_file.read_bytes()
    assert [path.name for path in (folder / "alone").iterdir()] == ["two.bw"]


def test_a_cell_has_the_same_bytes_whatever_lies_elsewhere(folder):
    rng = np.random.default_rng(1)
    inner = Run("a", 5 * CELL + 100, rng.normal(size=2 * CELL).astype(np.float32))
    before = Run("a", CELL + 7, rng.normal(size=3 * CELL + 900).astype(np.float32))
    cells = [
        {(b.first, b.behind): b.content for b in written(folder / "one.bw", runs, {"a": 10 * CELL}).blocks}
        for runs in ([inner], [before, inner])
    ]
    inside = {key: content for key, content in cells[1].items() if key[0][1] >= 5 * CELL}
    assert inside == cells[0]
    assert len(inside) == 3


@pytest.mark.parametrize(
    ("runs", "kinds"),
    [
        ([(0, np.arange(40))], ["fixed step"]),
        ([(0, np.ones(40))], ["bedgraph"]),
        ([(0, np.arange(40)), (50, np.arange(40))], ["fixed step"] * 2),
        ([(10 * i, np.arange(3)) for i in range(20)], ["bedgraph"]),
        ([(0, np.zeros(CELL)), (CELL, np.arange(CELL))], ["bedgraph", "fixed step"]),
        ([(0, np.append(np.zeros(CELL - 3), [1, 2, 3]))], ["bedgraph"]),
        ([(0, np.where(np.arange(CELL) % 5, 0, 1 + np.arange(CELL)))], ["fixed step"]),
    ],
    ids=["long", "equal", "two", "many short", "two cells", "few changes", "many zeros"],
)
def test_a_cell_is_of_the_kind_that_is_smaller(folder, runs, kinds):
    made = [Run("a", start, values.astype(np.float32)) for start, values in runs]
    assert [s.kind for s in written(folder / "one.bw", made, {"a": 4 * CELL}).sections] == kinds


def test_records_of_several_chromosomes_share_blocks_of_a_zoom_level(folder):
    sizes = {f"c{i}": 60 * FINEST for i in range(20)}
    runs = [Run(chrom, 5, np.full(59 * FINEST, i, np.float32)) for i, chrom in enumerate(sizes)]
    file = written(folder / "one.bw", runs, sizes)
    assert len(file.levels[FINEST]) == 20 * 60
    assert file.largest >= 32 * PER_BLOCK
    with pyBigWig.open(str(folder / "one.bw")) as reader:
        for i, chrom in enumerate(sizes):
            assert reader.stats(chrom, exact=False, nBins=2) == [i, i]
    for i, chrom in enumerate(sizes):
        records = list(pybigtools.open(str(folder / "one.bw")).zoom_records(FINEST, chrom, 0, 60 * FINEST))
        assert [(start, end, summary["max_val"]) for start, end, summary in records] == [
            (max(5, at), min(at + FINEST, 5 + 59 * FINEST), i) for at in range(0, 60 * FINEST, FINEST)
        ]


@pytest.mark.parametrize("kind", ["mean", "min", "max", "coverage", "std"])
@pytest.mark.parametrize("size", [FINEST, 4 * FINEST, 64 * FINEST])
def test_statistics_from_a_zoom_level_are_those_of_the_values(long_file, kind, size):
    # libBigWig takes a level whose bins are a quarter as long as those that are asked for, or shorter.
    asked = 4 * size
    with pyBigWig.open(str(long_file)) as file:
        for chrom in ("a", "b"):
            bins = (1 << 18) // asked
            exact = np.array(file.stats(chrom, 0, bins * asked, type=kind, nBins=bins, exact=True), float)
            fast = np.array(file.stats(chrom, 0, bins * asked, type=kind, nBins=bins, exact=False), float)
            np.testing.assert_allclose(fast, exact, rtol=1e-5, atol=1e-7)
            assert np.isfinite(exact).sum() > 5


@pytest.mark.parametrize("n", [0, 1, IN_NODE - 1, IN_NODE, IN_NODE + 1, 5000, IN_NODE**2 + 3])
def test_an_index_names_every_block(n):
    rng = np.random.default_rng(n)
    content = [zlib.compress(bytes(int(i))) for i in rng.integers(0, 60, n)]
    places = np.zeros(n, PLACE)
    places["chrom"] = places["last_chrom"] = np.sort(rng.integers(0, 4, n))
    places["start"], places["end"] = 10 * np.arange(n), 10 * np.arange(n) + 10
    places["size"] = list(map(len, content))
    data = b"".join(content)
    index = b"".join(index_of(places, 100, 100 + len(data), 1))

    found = blocks_of(bytes(100) + data + index, 100 + len(data), 100)

    assert [(*b.first, *b.behind, b.size) for b in found] == [tuple(place) for place in places.tolist()]


def test_a_chromosome_may_have_as_many_bases_as_the_format_counts(folder):
    last = (1 << 32) - 1
    values = np.arange(2 * CELL, dtype=np.float32)
    file = written(folder / "one.bw", [Run("a", last - len(values), values)], {"a": last, "b": 3})
    assert file.n_bases == len(values)
    with pyBigWig.open(str(folder / "one.bw")) as reader:
        assert reader.values("a", last - 2, last) == [2 * CELL - 2, 2 * CELL - 1]


@pytest.mark.parametrize(
    "runs",
    [
        [("chrB", 10), ("chrB", 5)],
        [("chrA", 10), ("chrB", 50)],
        [("chrB", 10), ("chrB", 14)],
    ],
    ids=["start", "chromosome", "overlap"],
)
def test_runs_that_are_not_in_genome_order_are_a_mistake(folder, runs):
    made = (Run(chrom, start, np.ones(5, np.float32)) for chrom, start in runs)
    with pytest.raises(ValueError, match="runs aren't in genome order"):
        write_runs(folder / "one.bw", SIZES, made)


MEMORY = """
import resource, sys
from pathlib import Path
import numpy as np
from sparselrp_cli.outputs.bigwig import write_runs
from sparselrp_cli.outputs.track_runs import Run

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10

values = np.random.default_rng(0).normal(size=600).astype(np.float32)
def runs(n):
    return (Run("a", 1000 * i, values) for i in range(n))

path = Path(sys.argv[1])
write_runs(path, {"a": 4_000_000_000}, runs(1000), 2)
few = peak()
write_runs(path, {"a": 4_000_000_000}, runs(20_000), 2)
print(peak() - few)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_windows(folder):
    command = [sys.executable, "-c", MEMORY, str(folder / "run.bw")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=True, env={"PYTHONPATH": ":".join(sys.path)}
    )
    # 46 MB of values more than before, of which kept are places of blocks, and 8 MiB of a zoom level.
    assert int(done.stdout) < 20
