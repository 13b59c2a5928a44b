"""What a run of `attribute` is asked to do."""

from dataclasses import dataclass
from pathlib import Path

from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.runs.blocks import KeptBlocks
from sparselrp_cli.runs.rows import asked_of
from sparselrp_cli.sequences.text import is_pipe
from sparselrp_cli.settings.run import RunSettings


@dataclass(frozen=True, slots=True)
class RunRequest:
    """What `sparselrp attribute` was asked to do.

    Attributes
    ----------
    sequences : str
        FASTA; ``-`` is standard input.
    prefix : Path
        What all files of the run are named by.
    models : tuple of ModelRequest
        Several are averaged.
    settings : RunSettings
    regions : str or None
        BED or narrowPeak on the sequences; a VCF where the settings name an allele.
    resume : bool or None
        Go on with what an interrupted run left, throw it away, or, if None, stop if there is any.
    multiqc : bool
        Whether the run has a row in MultiQC's reports; one that accompanies another has none.
    archive_only : bool
        Whether the archive and the tables are all that is written.
    kept_blocks : KeptBlocks or None
        Of a run that accompanies another: where the blocks of its windows are.
    """

    sequences: str
    prefix: Path
    models: tuple[ModelRequest, ...]
    settings: RunSettings
    regions: str | None = None
    resume: bool | None = None
    multiqc: bool = True
    archive_only: bool = False
    kept_blocks: KeptBlocks | None = None

    @property
    def inputs(self) -> dict[str, str]:
        """The files that are read, by role."""
        regions = {} if self.regions is None else {"regions": self.regions}
        rows = {f"input {asked.name}": str(asked.path) for asked in asked_of(self.models)}
        return {"sequences": self.sequences, **regions, **rows}

    @property
    def piped(self) -> bool:
        """Whether an input is a pipe, which can be read only once."""
        return any(map(is_pipe, self.inputs.values()))
