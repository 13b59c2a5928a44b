"""Archives that go with a run: of shuffled windows, for the null, and of the best windows without pruning."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sparselrp_cli.motifs.shuffled import chosen_rows, write_shuffled
from sparselrp_cli.outputs.archive import ArchiveReader
from sparselrp_cli.outputs.best import best_rows, write_best
from sparselrp_cli.runs.attribute import Progress, attribute
from sparselrp_cli.runs.blocks import KeptBlocks
from sparselrp_cli.runs.request import RunRequest
from sparselrp_cli.runs.run_files import path_of
from sparselrp_cli.runs.stopping import StopRequest
from sparselrp_cli.sequences.text import is_pipe


def explain_shuffled(
    request: RunRequest, command: Sequence[str], progress: Progress, stop: StopRequest, seed: int = 0,
    archive: Path | None = None,
) -> Path:  # fmt: skip
    """Explain the windows of a run again, with their dinucleotides shuffled: ``PREFIX.background.h5``.

    At most 2,000 of them, evenly from all; fewer than 300 several times each. The sequences are kept in
    ``PREFIX.background.fa``.

    Parameters
    ----------
    request : RunRequest
        Of the run.
    seed : int
        Of the shuffling.
    archive : Path, optional
        Of the run, where it isn't ``PREFIX.h5``.

    Returns
    -------
    Path
        The archive.

    Raises
    ------
    InputError
        If the run has no window.
    """
    prefix = request.prefix
    sequences = path_of(prefix, ".background.fa")
    archive = archive or path_of(prefix, ".h5")
    write_shuffled(archive, sequences, seed=seed)
    with ArchiveReader(archive) as reader:
        shuffled = chosen_rows(reader)
    background = replace(
        request,
        sequences=str(sequences),
        regions=None,
        prefix=path_of(prefix, ".background"),
        settings=replace(request.settings, formats=("h5",)),
        resume=False,
        multiqc=False,
        kept_blocks=KeptBlocks(archive, tuple(shuffled.tolist())),
    )
    attribute(background, command, progress, stop)
    return path_of(prefix, ".background.h5")


def explain_unpruned(
    request: RunRequest, command: Sequence[str], progress: Progress, stop: StopRequest
) -> Path | None:
    """Explain the windows of the highest scores again, without pruning: ``PREFIX.unpruned.h5``.

    Returns
    -------
    Path or None
        None where the run wasn't pruned, or its sequences were a stream, which can't be read twice.
    """
    if request.settings.is_plain or is_pipe(request.sequences):
        return None
    prefix = request.prefix
    regions = path_of(prefix, ".top.narrowPeak")
    with ArchiveReader(path_of(prefix, ".h5")) as reader:
        top = best_rows(reader)
        write_best(reader, regions)
    plain = replace(request.settings, tile_overlap=None, prune=0.0, prune_negative=None, formats=("h5",))
    unpruned = replace(
        request,
        regions=str(regions),
        prefix=path_of(prefix, ".unpruned"),
        settings=plain,
        resume=False,
        multiqc=False,
        kept_blocks=KeptBlocks(path_of(prefix, ".h5"), tuple(top.tolist())),
    )
    attribute(unpruned, command, progress, stop)
    return path_of(prefix, ".unpruned.h5")
