"""Batches of values as a bigWig has them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sparselrp_cli.outputs.bigwig.blocks import blocks
from sparselrp_cli.outputs.bigwig.index import PLACE, Places
from sparselrp_cli.outputs.bigwig.stretches import Stretches
from sparselrp_cli.outputs.bigwig.zoom import Bins, bins_of


@dataclass(frozen=True, slots=True, eq=False)
class Packed:
    """A batch, packed.

    Attributes
    ----------
    blocks : sequence of bytes
    places : ndarray of PLACE
        Of each block.
    largest : int
        The bytes of the largest block before packing.
    bins : ndarray of BIN
        Of the finest zoom level.
    """

    blocks: Sequence[bytes]
    places: Places
    largest: int
    bins: Bins


def pack(batch: Stretches) -> Packed:
    """Pack values that end where a cell does."""
    made = list(blocks(batch))
    packed = [block.packed() for block in made]
    places = [(b.chrom, b.start, b.chrom, b.end, len(p)) for b, p in zip(made, packed, strict=True)]
    return Packed(packed, np.array(places, PLACE), max(block.n_bytes for block in made), bins_of(batch))
