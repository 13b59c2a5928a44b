"""Blocks of BED12 lines: what is read, what is refused with its line, and which windows they suit."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparselrp_cli.errors import InputError
from sparselrp_cli.sequences.blocks import BlocksWanted, Under, marks, n_bases, read_blocks
from sparselrp_cli.sequences.regions import read_regions

stretches = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20)), min_size=1, max_size=6)


def line(count: str, sizes: str, starts: str) -> list[str]:
    return f"chr1\t100\t200\tgene\t0\t+\t100\t200\t0\t{count}\t{sizes}\t{starts}".split("\t")


@given(stretches, st.booleans(), st.booleans())
def test_blocks_are_read_as_written_whatever_their_order_and_overlap(blocks, comma, blank):
    end = "," if comma else ""
    sizes = ",".join(str(n) for _, n in blocks) + end
    starts = ",".join(str(s) for s, _ in blocks) + end
    count = f" {len(blocks)} " if blank else str(len(blocks))
    found = read_blocks(line(count, sizes, starts), 100, 200, "x line 1")
    assert found == tuple((100 + s, 100 + s + n) for s, n in blocks)


@given(stretches, st.integers(-50, 120), st.integers(1, 80))
def test_a_base_is_marked_if_it_lies_in_any_block_and_counted_once(blocks, start, length):
    found = [(s, s + n) for s, n in blocks]
    inside = {base for s, e in found for base in range(s, e)}
    assert marks(found, start, length).tolist() == [
        int(base in inside) for base in range(start, start + length)
    ]
    assert n_bases(found) == len(inside)


ODD = "aren't the number, sizes and starts of the blocks of a BED12; a target with @blocks reads them"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (("2", "10,20", "0"), "column 10 says 2 blocks, and behind it stand 2 sizes and 1 start"),
        (("3", "10,20,", "0,50,"), "column 10 says 3 blocks, and behind it stand 2 sizes and 2 starts"),
        (("0", "10", "0"), "column 10 says 0 blocks, and behind it stand 1 size and 1 start"),
        (("0", "", ""), f"columns 10 to 12, '0  ', {ODD}"),
        (("2", "10,,20", "0,50"), f"columns 10 to 12, '2 10,,20 0,50', {ODD}"),
        (("1", ",10", "0"), f"columns 10 to 12, '1 ,10 0', {ODD}"),
        (("1", "-10", "0"), f"columns 10 to 12, '1 -10 0', {ODD}"),
        (("1", "1e1", "0"), f"columns 10 to 12, '1 1e1 0', {ODD}"),
        (("one", "10", "0"), f"columns 10 to 12, 'one 10 0', {ODD}"),
        (("9" * 40, "10", "0"), f"columns 10 to 12, '{'9' * 40} 10 0', {ODD}"),
        (("١", "10", "0"), f"columns 10 to 12, '١ 10 0', {ODD}"),
        (("2", "10,0", "0,50"), "block 2 is empty; take it out"),
        (("2", "10,60", "0,50"), "block 2 ends at 210, behind its region, which ends at 200"),
        (("1", "9" * 30, "0"), "block 1 ends at 1000000000000000100, behind its region, which ends at 200"),
    ],
)
def test_blocks_that_arent_those_of_a_bed12_are_refused_with_the_line(columns, message):
    with pytest.raises(InputError) as caught:
        read_blocks(line(*columns), 100, 200, "genes.bed line 7")
    assert str(caught.value) == f"genes.bed line 7: {message}"


@pytest.mark.parametrize("n_columns", [3, 6, 9, 11])
def test_a_line_of_too_few_columns_is_refused(n_columns):
    with pytest.raises(InputError) as caught:
        read_blocks(line("1", "10", "0")[:n_columns], 100, 200, "genes.bed line 7")
    assert str(caught.value) == (
        f"genes.bed line 7: {n_columns} columns, and a target with @blocks reads the blocks in columns 10 to"
        " 12; give BED12"
    )


def test_lines_are_centred_on_their_middle_where_blocks_are_wanted_whatever_they_look_like(tmp_path):
    path = tmp_path / "genes.narrowPeak"
    # One block that isn't the whole region, and no comma: the columns of a narrowPeak with two more.
    path.write_text("chr1\t100\t200\tgene\t0\t+\t5.1\t3.2\t1.0\t1\t50\t10\n")
    (peak,) = read_regions(str(path))
    (gene,) = read_regions(str(path), blocks=True)
    assert (peak.centre, peak.blocks) == (101, ())
    assert (gene.centre, gene.is_summit, gene.blocks) == (150, False, ((110, 160),))


def test_a_window_suits_where_its_blocks_touch_each_output_as_the_model_reads_it():
    marked = np.zeros(20, np.uint8)
    marked[3] = 1
    left, right = Under("left", 0, 5), Under("right", 15, 20)
    assert BlocksWanted([left]).obstacle(marked, "+") == ""
    assert BlocksWanted([left]).obstacle(marked, "-") == (
        "no block of its region lies under output 'left', bases 0 to 5 of the window"
    )
    assert BlocksWanted([right]).obstacle(marked, "-") == ""
    assert "'right', bases 15 to 20" in BlocksWanted([left, right]).obstacle(marked, "+")
    assert "'left', bases 0 to 5" in BlocksWanted([left], both_strands=True).obstacle(marked, "+")
    marked[16] = 1
    assert BlocksWanted([left], both_strands=True).obstacle(marked, "+") == ""
    assert BlocksWanted([left]).beyond(marked, "+", 2)
    assert not BlocksWanted([Under("all", 0, 20)]).beyond(marked, "+", 2)
    assert BlocksWanted([Under("all", 0, 20)]).beyond(marked, "+", 3)  # one lies beside the window
