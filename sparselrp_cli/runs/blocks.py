"""Blocks of the regions of a run, for targets that read them: from the BED12, or from an archive."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.runs.models import PreparedModel
from sparselrp_cli.sequences.blocks import BlocksWanted, Marked


@dataclass(frozen=True, slots=True)
class KeptBlocks:
    """Blocks of windows that an archive keeps.

    Attributes
    ----------
    archive : Path
    rows : tuple of int
        The row of the archive for each region or record that is explained, in their order.
    """

    archive: Path
    rows: tuple[int, ...]


@contextmanager
def wanted_blocks(
    models: Sequence[PreparedModel], kept: KeptBlocks | None, *, both_strands: bool
) -> Iterator[BlocksWanted | None]:
    """Say what windows are to come with; None where no target reads blocks.

    Raises
    ------
    InputError
        If the archive that should keep them has none.
    """
    under = tuple(dict.fromkeys(part for model in models for part in model.under))
    if not under:
        yield None
        return
    with ExitStack() as stack:
        if kept is None:
            yield BlocksWanted(under, both_strands)
            return
        reader = stack.enter_context(ArchiveReader(kept.archive))
        if not reader.has_blocks:
            raise InputError(f"{kept.archive} keeps no blocks, which a target with @blocks reads")

        def marks_of(index: int) -> Marked:
            row = kept.rows[index]
            (marked,) = reader.blocks(slice(row, row + 1))
            return np.asarray(marked, np.uint8)

        yield BlocksWanted(under, both_strands, marks_of)
