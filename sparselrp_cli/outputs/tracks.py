"""Contributions along the genome, as bigWig and as text."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path

import numpy as np
from Bio.bgzf import BgzfWriter

from sparselrp_cli.files.atomic import replacing
from sparselrp_cli.files.cores import usable_cores
from sparselrp_cli.files.names import field
from sparselrp_cli.outputs.bigwig import ForeignTrackError, ShardTrack, write_joined, write_runs
from sparselrp_cli.outputs.track_runs import Maps, Run, track_runs

Interval = tuple[str, int, int, np.float32]


def write_bigwig(
    reader: Maps,
    path: Path | str,
    policy: str,
    target: int = 0,
    *,
    spread: bool = False,
    shards: Sequence[ShardTrack] = (),
) -> None:
    """Write the track of one target as bigWig, with zoom levels and every chromosome in genome order.

    A base that no window covers has no value, one that is scored zero has 0.

    Parameters
    ----------
    reader : Maps
    path : Path or str
    policy : str
        What a base covered by several windows gets, one of `overlap.POLICIES`.
    target : int
    spread : bool
        Write the standard deviations over the models in place of the contributions. The policy is applied to
        them as it is to contributions, so that ``max-abs`` takes the largest.
    shards : sequence of ShardTrack
        This track of each shard that the windows came from, in order and under the same policy. What can be
        copied from them is; that changes no byte.

    Raises
    ------
    OutputError
        If the file can't be written, a value isn't finite, or windows overlap under ``error``.
    """
    with replacing(path, "tmp.bw") as hidden:
        if shards:
            with suppress(ForeignTrackError):
                write_joined(hidden, reader, shards, policy, target, spread=spread, threads=usable_cores())
                return
        runs = track_runs(reader, policy, target, spread=spread)
        write_runs(hidden, reader.chrom_sizes, runs, usable_cores())


def write_bedgraph(
    reader: Maps, path: Path | str, policy: str, target: int = 0, *, spread: bool = False
) -> None:
    """Write the track of one target as bedGraph, compressed as by ``bgzip``, so that ``tabix`` can index it.

    Neighbouring bases of equal value share a line. Values are the shortest text that gives the same float32.
    Parameters and errors as for `write_bigwig`.
    """
    with (
        replacing(path) as hidden,
        hidden.open("wb") as file,
        BgzfWriter(fileobj=file, compresslevel=6) as text,  # type: ignore[no-untyped-call]
    ):
        for lines in _batched(_lines(track_runs(reader, policy, target, spread=spread))):
            text.write("".join(lines).encode())


def _lines(runs: Iterable[Run]) -> Iterator[str]:
    for chrom, start, end, value in _intervals(runs):
        yield f"{chrom}\t{start}\t{end}\t{value!s}\n"


def _batched(lines: Iterator[str]) -> Iterator[list[str]]:
    # BGZF takes as long for a line as for a thousand.
    while batch := list(islice(lines, 1000)):
        yield batch


def _intervals(runs: Iterable[Run]) -> Iterator[Interval]:
    """Cut runs where the value changes, and join what belongs together over their borders."""
    held: Interval | None = None
    for run in runs:
        chrom = field(run.chrom)
        bounds = np.flatnonzero(np.diff(run.values)) + 1
        starts = [0, *bounds.tolist()]
        for first, last in zip(starts, [*starts[1:], len(run.values)], strict=True):
            start, end, value = run.start + first, run.start + last, run.values[first]
            if held and held[0] == chrom and held[2] == start and held[3] == value:
                start = held[1]
            elif held:
                yield held
            held = (chrom, start, end, value)
    if held:
        yield held
