"""How many neurons of each layer pruning keeps, where a stretch of an archive is explained."""

import numpy as np

from sparselrp_cli.evaluation.asking_again import prepared_as, require_made_with
from sparselrp_cli.model.loading import LoadedModel
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.locus import nearest_window
from sparselrp_cli.relevance.batching import choose_device
from sparselrp_cli.relevance.windows import KeptLayer


def kept_layers(
    reader: ArchiveReader, model: LoadedModel, chrom: str, start: int, end: int, target: int = 0
) -> list[KeptLayer]:  # fmt: skip
    """Explain the window whose centre is nearest to a stretch again, and count.

    Parameters
    ----------
    reader : ArchiveReader
    model : LoadedModel
        That the archive is of.
    chrom : str
    start, end : int
        0-based half-open.
    target : int

    Returns
    -------
    list of KeptLayer
        From the input on; empty where the archive was made without pruning.

    Raises
    ------
    InputError
        If the archive is of another model, or has no window there.
    """
    require_made_with(model, reader)
    prepared = prepared_as(reader, model, choose_device("auto"))
    row = np.array([nearest_window(reader, chrom, start, end)])
    (window,) = reader.windows(row)
    return prepared.windows.kept_layers(
        reader.read(row, target)[0], reverse=window.strand == "-", target=target
    )
