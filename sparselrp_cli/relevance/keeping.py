"""What a forward pass keeps for the walk, and what is computed again where memory is short.

The walk reads the numbers of some tensors alone: what layers read and make, what is pruned, factors of
products. All others are let go of after what reads them last in the forward pass. What then stands in their
place has their shape, and NaN for numbers: whoever read them by mistake would be found out.

Where what is kept is more than a budget, a part of the graph is cut into segments. Of a segment what comes
into it is kept; the rest is computed again when the walk gets there. This is gradient checkpointing
(Chen et al. 2016, arXiv 1604.06174), with segments of about the same number of bytes. What costs much to
compute for its size, as what a convolution makes, may be kept inside of segments as well. Of the plans that
fit the one is taken that computes the least again.
"""

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from sparselrp_cli.graph.canonical import CanonicalGraph, Node, last_readers
from sparselrp_cli.graph.operation import map_tensors
from sparselrp_cli.graph.shapes import numbers, resolve
from sparselrp_cli.relevance.program import Program

_MEMOS = 4
"""How many times the bytes of all tensors may be kept at most, with what operations remember."""
_ALWAYS_FREE = 16 << 20
"""Bytes for which nobody looks how many are free."""
_PIECES = (2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64)
"""Into how many segments all that is kept may be cut."""
_SHARES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)
"""Of the budget, for what is kept before a segment and the segment itself."""
_DEAR = (math.inf, 256, 16)
"""Multiply-adds a number from which on what a segment makes may be kept: never, convolutions, most layers."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretch:
    """Nodes that are computed one after the other.

    Attributes
    ----------
    nodes : tuple of Node
    remembered : frozenset of str
        The nodes whose memos are kept.
    done_with : mapping of str to sequence of str
        By node the tensors that are let go of behind it.
    """

    nodes: tuple[Node, ...]
    remembered: frozenset[str]
    done_with: Mapping[str, Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Keeping:
    """How a program is computed, once or in part again.

    Attributes
    ----------
    first : Stretch
        The whole forward pass.
    kept : frozenset of str
        The tensors that are kept of it.
    again : mapping of str to Stretch
        What is computed again, by the node at which the walk needs it first.
    over : mapping of str to Stretch
        The same, by the node after which the walk doesn't need it any more.
    bytes_kept : int
        What is kept of a batch at most, with one segment computed again; 0 where nothing had to be measured.
    """

    first: Stretch
    kept: frozenset[str]
    again: Mapping[str, Stretch] = field(default_factory=dict)
    over: Mapping[str, Stretch] = field(default_factory=dict)
    bytes_kept: int = 0


def hollow(values: Tensor) -> Tensor:
    """Give what stands for a tensor that was let go of: its shape, with NaN for each number."""
    if not values.is_floating_point():
        return values
    return values.new_full((), torch.nan).expand(values.shape)


def plan_keeping(program: Program, n: int, held: Collection[str], budget: int | Callable[[], int]) -> Keeping:
    """Plan what is kept of batches of `n` windows, and what is computed again.

    Parameters
    ----------
    program : Program
    n : int
    held : collection of str
        Tensors that are read before the walk begins: outputs, and what goes into their ends.
    budget : int or callable
        In bytes, for what is kept; it is exceeded where even the finest segments need more. A callable gives
        it, and isn't called for what any machine has.
    """
    reads = _reads(program, held)
    nodes = program.graph.nodes
    most = sum(numbers(node.shape) for node in nodes) * n * program.graph.dtype.itemsize * _MEMOS
    if callable(budget):
        budget = _ALWAYS_FREE if most <= _ALWAYS_FREE else budget()
    if most <= budget:
        return _whole(nodes, reads, held)
    return _Planner(program.graph, reads, frozenset(held), _Sizes.of(program.graph, n)).plan(budget)


def _reads(program: Program, held: Collection[str]) -> dict[str, frozenset[str]]:
    """Give the tensors whose numbers the walk reads at each node that relevance may get to."""
    reached, reads = set(held), {}
    for node in reversed(program.graph.nodes):
        if node.name not in reached:
            continue
        reached.update(name for i, name in enumerate(node.inputs) if node.operation.carries_to(i))
        read = {name for i, name in enumerate(node.inputs) if node.operation.reads_input(i)}
        if node.operation.reads_output or node.name in program.pruning:
            read.add(node.name)
        reads[node.name] = frozenset(read)
    return reads


def _whole(nodes: Sequence[Node], reads: Mapping[str, frozenset[str]], held: Iterable[str]) -> Keeping:
    """Keep all that the walk reads."""
    kept = frozenset(held).union(*reads.values())
    return Keeping(_stretch(nodes, kept, frozenset(reads)), kept)


def keep_all(nodes: Sequence[Node]) -> Keeping:
    """Compute nodes once, and keep all that they make and remember."""
    names = frozenset(node.name for node in nodes)
    return Keeping(_stretch(nodes, names, names), names)


def _stretch(nodes: Sequence[Node], kept: frozenset[str], remembered: frozenset[str]) -> Stretch:
    """Compute nodes; of what is made there, and isn't kept, nothing stays."""
    made = {node.name for node in nodes}
    done_with = {
        reader: tuple(name for name in names if name in made and name not in kept)
        for reader, names in last_readers(nodes).items()
    }
    return Stretch(tuple(nodes), remembered, {reader: names for reader, names in done_with.items() if names})


@dataclass(frozen=True, slots=True, eq=False)
class _Sizes:
    """Bytes of what each node makes and remembers, by where in memory they lie: views share it."""

    values: Mapping[str, Mapping[int, int]]
    memos: Mapping[str, Mapping[int, int]]

    @classmethod
    def of(cls, graph: CanonicalGraph, n: int) -> "_Sizes":
        """Find them by computing without data."""
        tensors = {graph.input: torch.empty(resolve(graph.input_shape, n), dtype=graph.dtype, device="meta")}
        memos: dict[str, list[Tensor]] = {}
        for node in graph.nodes:
            operation = map_tensors(node.operation, lambda t: t.to("meta"))
            tensors[node.name], memo = operation.forward(*[tensors[name] for name in node.inputs])
            memos[node.name] = [leaf for leaf in _leaves(memo) if isinstance(leaf, Tensor)]
        ours = {graph.input: {}, **{node.name: _storages([tensors[node.name]]) for node in graph.nodes}}
        # The tensors are all alive until here, so that no two have one place.
        return cls(ours, {name: _storages(found) for name, found in memos.items()})

    def total(self, values: Iterable[str], memos: Iterable[str] = ()) -> int:
        """Add up what some tensors and memos take together."""
        places: dict[int, int] = {}
        for name in values:
            places |= self.values[name]
        for name in memos:
            places |= self.memos[name]
        return sum(places.values())


def _leaves(memo: object) -> Iterable[object]:
    if isinstance(memo, (tuple, list)):
        for part in memo:
            yield from _leaves(part)
    elif isinstance(memo, dict):
        yield from _leaves(list(memo.values()))
    else:
        yield memo


def _storages(tensors: Iterable[Tensor]) -> dict[int, int]:
    found = (tensor.untyped_storage() for tensor in tensors)
    return {storage._cdata: storage.nbytes() for storage in found}


class _Planner:
    """Finds segments, for one size of batches."""

    def __init__(
        self, graph: CanonicalGraph, reads: Mapping[str, frozenset[str]], held: frozenset[str], sizes: _Sizes
    ) -> None:
        self.nodes, self.reads, self.held, self.sizes = graph.nodes, reads, held, sizes
        self.place = {graph.input: -1, **{node.name: i for i, node in enumerate(graph.nodes)}}
        self.wanted = held.union(*reads.values())
        self.crossing = self._crossing()
        shapes = {graph.input: graph.input_shape, **{node.name: node.shape for node in graph.nodes}}
        self.work = {n.name: n.operation.work([shapes[i] for i in n.inputs], n.shape) for n in self.nodes}
        self.intensity = {n.name: self.work[n.name] / max(1, numbers(n.shape)) for n in self.nodes}

    def plan(self, budget: int) -> Keeping:
        """Compute again as little as the budget allows; if none does, what takes the least memory."""
        whole = self.sizes.total(self.wanted, self.reads)
        found, least, fastest = self._keeping([0], 0, frozenset(), whole), whole, math.inf
        if whole <= budget:
            return found
        for intensity in _DEAR:
            dear = frozenset(name for name, own in self.intensity.items() if own >= intensity)
            for starts in self._ways_to_cut(whole, budget, dear):
                plan, peak = self._smallest(starts, dear, budget)
                if peak > budget and peak >= least:
                    continue
                if peak <= budget and self._again(plan) >= fastest:
                    continue
                found, least = plan, min(least, peak)
                if peak <= budget:
                    fastest = self._again(plan)
        return found

    def _ways_to_cut(self, whole: int, budget: int, dear: frozenset[str]) -> Iterator[list[int]]:
        """Cut into segments of equal size, or of what the budget leaves beside what is kept before them."""
        for pieces in _PIECES:
            yield self._segments([whole // pieces] * len(self.nodes))
        sizes = [self.sizes.total(self.wanted & dear & {node.name}) for node in self.nodes]
        taken = [a + b for a, b in zip(accumulate(sizes, initial=0), self.crossing, strict=True)]
        for share in _SHARES:
            left = [int(share * budget) - before for before in taken[:-1]]
            yield self._segments([max(own, whole // _PIECES[-1]) for own in left])

    def _smallest(self, starts: Sequence[int], dear: frozenset[str], budget: int) -> tuple[Keeping, int]:
        """Compute again as few segments as the budget allows; if none does, those that take the least.

        What is kept at most is the larger of what is kept before the walk and what is there while it goes
        through a segment that is computed again.
        """
        peaks, within = [], 0
        kept: frozenset[str] = frozenset()
        bounds = [*starts, len(self.nodes)]
        for start, stop in pairwise(bounds):
            missing, incoming = self._inner(start, stop, dear)
            kept |= incoming
            within = max(within, self.sizes.total(kept | missing, missing))
            behind = [node.name for node in self.nodes[stop:] if node.name in self.reads]
            before = self.sizes.total(self._all_read(kept, stop), behind)
            peaks.append(max(before, within))
            if peaks[-1] <= budget:
                break
        best = min(range(len(peaks)), key=peaks.__getitem__)
        return self._keeping(starts, best + 1, dear, peaks[best]), peaks[best]

    def _again(self, plan: Keeping) -> int:
        """Count the multiply-adds that a plan computes again."""
        return sum(self.work[node.name] for part in plan.again.values() for node in part.nodes)

    def _crossing(self) -> list[int]:
        """Bytes of what is made before each node and read there or behind."""
        last = dict.fromkeys(self.place, -1)
        for i, node in enumerate(self.nodes):
            for name in (*node.inputs, *self.reads.get(node.name, ())):
                last[name] = max(last[name], i)
        found = [0] * (len(self.nodes) + 1)
        for name, reader in last.items():
            for i in range(self.place[name] + 1, reader + 1):
                found[i] += self.sizes.total([name])
        return found

    def _segments(self, largest: Sequence[int]) -> list[int]:
        """Give the first node of each segment: cut where little crosses, before too many bytes are needed.

        `largest` says by node how many a segment that starts there may need.
        """
        starts, sums, since = [0], [0], 0
        for i, node in enumerate(self.nodes):
            since += self.sizes.total(self.wanted & {node.name}, self.reads.keys() & {node.name})
            sums.append(since)
            most = largest[starts[-1]]
            if since > most and i > starts[-1]:
                half = [b for b in range(starts[-1] + 1, i + 1) if 2 * (sums[b] - sums[starts[-1]]) >= most]
                cut = min(half or [i], key=lambda b: (self.crossing[b], -b))
                starts.append(cut)
                since -= sums[cut]
                sums = [s - sums[cut] for s in sums]
        return starts

    def _inner(
        self, start: int, stop: int, kept: frozenset[str] = frozenset()
    ) -> tuple[frozenset[str], frozenset[str]]:
        """Give what is computed again in a segment, and what comes into it; `kept` is there anyway."""
        there = self.held | kept
        inside = self.nodes[start:stop]
        made = {node.name for node in inside}
        reads = [self.reads.get(node.name, frozenset()) for node in inside]
        missing = (frozenset().union(*reads) & made) - there
        missing |= {node.name for node in inside if node.name in self.reads and self.sizes.memos[node.name]}
        for node in reversed(inside):
            if node.name in missing:
                missing |= made.intersection(node.inputs) - there
        incoming = frozenset().union(*reads, *(n.inputs for n in inside if n.name in missing)) - missing
        return frozenset(missing), incoming

    def _all_read(self, incoming: Iterable[str], start: int) -> frozenset[str]:
        """Give what is kept: what comes into segments, and what the walk reads at a node and behind."""
        behind = (self.reads.get(node.name, frozenset()) for node in self.nodes[start:])
        return self.held.union(incoming, *behind)

    def _keeping(self, starts: Sequence[int], count: int, dear: frozenset[str], peak: int) -> Keeping:
        bounds = [*starts, len(self.nodes)]
        behind = frozenset(n.name for n in self.nodes[bounds[count] :] if n.name in self.reads)
        segments = list(pairwise(bounds[: count + 1]))
        incoming = [self._inner(start, stop, dear)[1] for start, stop in segments]
        kept = self._all_read(frozenset().union(*incoming), bounds[count])
        again, over = {}, {}
        for start, stop in segments:
            missing, _ = self._inner(start, stop, kept)
            inside = [node for node in self.nodes[start:stop] if node.name in missing]
            stretch = _stretch(inside, self.wanted, frozenset(self.reads))
            again[self.nodes[stop - 1].name] = over[self.nodes[start].name] = stretch
        return Keeping(_stretch(self.nodes, kept, behind), kept, again, over, peak)
