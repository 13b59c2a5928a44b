"""bigWigs of more contigs than a node of their tree has room for: each is named, and found by readers."""

import struct

import numpy as np
import pybigtools
import pyBigWig
import pytest

from sparselrp_cli.outputs.bigwig import write_runs
from sparselrp_cli.outputs.bigwig.chromosome_tree import BLOCK, MOST_IN_NODE, chromosome_tree
from sparselrp_cli.outputs.track_runs import Run

AT = 1000


class Tree:
    """Reads a chromosome tree as tables 8 to 11 of the supplement of Kent et al. 2010 say."""

    def __init__(self, content):
        self.content = b"\0" * AT + content
        magic, self.block, self.key, value, self.count, _ = struct.unpack_from("<IIIIQQ", self.content, AT)
        assert (magic, value) == (0x78CA8C91, 8)
        self.root = AT + 32

    def node(self, at):
        leaf, _, count = struct.unpack_from("<BBH", self.content, at)
        assert leaf in (0, 1)
        assert 0 < count <= self.block
        items = []
        for i in range(count):
            place = at + 4 + i * (self.key + 8)
            name = self.content[place : place + self.key].rstrip(b"\0").decode()
            items.append((name, struct.unpack_from("<II" if leaf else "<Q", self.content, place + self.key)))
        return bool(leaf), items

    def all(self, at=None):
        leaf, items = self.node(self.root if at is None else at)
        if leaf:
            return items
        return [item for _, (child,) in items for item in self.all(child)]

    def find(self, name):
        """Go down from the root, to the last child that doesn't begin behind the name."""
        leaf, items = self.node(self.root)
        while not leaf:
            (child,) = [place for key, place in items if key.encode() <= name.encode()][-1]
            leaf, items = self.node(child)
        return dict(items)[name]


def contigs(n):
    """Names that aren't sorted, of different lengths, and sizes."""
    return [(f"contig_{(i * 7919) % n}" if i % 3 else f"c{i}é", 100 + i % 7) for i in range(n)]


@pytest.mark.parametrize("n", [1, 2, BLOCK, 5000, MOST_IN_NODE, MOST_IN_NODE + 1, 70_000, 2 * BLOCK**2])
def test_a_tree_has_every_contig_with_its_number_and_size(n):
    chroms = [(f"{name}_{i}", size) for i, (name, size) in enumerate(contigs(n))]
    tree = Tree(chromosome_tree(chroms, AT))
    assert tree.count == n
    assert dict(tree.all()) == {name: (number, size) for number, (name, size) in enumerate(chroms)}
    for number in {0, n // 3, n - 1}:
        name, size = chroms[number]
        assert tree.find(name) == (number, size)


def test_one_leaf_keeps_the_order_and_several_are_sorted():
    few, many = contigs(10), [(f"{i * 7919 % 70001}", 5) for i in range(70_000)]
    assert [name for name, _ in Tree(chromosome_tree(few, AT)).all()] == [name for name, _ in few]
    names = [name.encode() for name, _ in Tree(chromosome_tree(many, AT)).all()]
    assert names == sorted(names)


def written(path, sizes, valued):
    """Write a bigWig in which the third to fifth base of some contigs have a value, that of its number."""
    path.touch()
    numbers = {name: i for i, name in enumerate(sizes)}
    write_runs(path, sizes, (Run(c, 2, np.full(3, numbers[c] + 0.5, np.float32)) for c in valued))
    return numbers


def check(path, sizes, valued, numbers, asked):
    with pyBigWig.open(str(path)) as file:
        assert file.chroms() == sizes
        assert file.header()["nBasesCovered"] == 3 * len(valued)
        for name in asked:
            expected = [np.nan] * 2 + [numbers[name] + 0.5 if name in valued else np.nan] * 3 + [np.nan]
            np.testing.assert_array_equal(file.values(name, 0, 6), expected)
    file = pybigtools.open(str(path))
    assert file.chroms() == sizes
    for name in asked:
        found = [
            (base, value) for start, end, value in file.records(name, 0, 6) for base in range(start, end)
        ]
        assert found == ([(base, numbers[name] + 0.5) for base in (2, 3, 4)] if name in valued else [])


@pytest.mark.parametrize("n", [MOST_IN_NODE, MOST_IN_NODE + 1, 70_000])
def test_both_readers_see_all_contigs_of_which_few_have_values(tmp_path, n):
    sizes = {f"contig_{i}": 100 + i % 7 for i in range(n)}
    valued = set(list(sizes)[5 :: n // 10])
    numbers = written(tmp_path / "run.bw", sizes, sorted(valued, key=list(sizes).index))
    check(tmp_path / "run.bw", sizes, valued, numbers, [*valued, "contig_0", f"contig_{n - 1}"])


@pytest.mark.slow
def test_both_readers_see_more_contigs_with_values_than_a_leaf_has_room_for(tmp_path):
    sizes = {f"contig_{i}": 100 + i % 7 for i in range(MOST_IN_NODE + 20)}
    valued = list(sizes)[10:]
    numbers = written(tmp_path / "run.bw", sizes, valued)
    asked = ["contig_0", "contig_10", "contig_40000", f"contig_{len(sizes) - 1}"]
    check(tmp_path / "run.bw", sizes, set(valued), numbers, asked)


def test_both_readers_see_all_contigs_where_none_has_a_value(tmp_path):
    sizes = {f"contig_{i}": 100 for i in range(70_000)}
    written(tmp_path / "run.bw", sizes, [])
    with pyBigWig.open(str(tmp_path / "run.bw")) as file:
        assert file.chroms() == sizes
    assert pybigtools.open(str(tmp_path / "run.bw")).chroms() == sizes
