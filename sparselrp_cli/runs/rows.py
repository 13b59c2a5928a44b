"""Rows of files that go with the regions of a run: inputs of the models beside the sequence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from sparselrp_cli.errors import InputError
from sparselrp_cli.model.inputs import row_tensor
from sparselrp_cli.model.request import ModelRequest
from sparselrp_cli.model.rows import Rows, RowsAsked, read_rows, row_files
from sparselrp_cli.sequences.fasta import read_records
from sparselrp_cli.sequences.regions import read_regions
from sparselrp_cli.sequences.text import display_name, is_pipe
from sparselrp_cli.sequences.windows import Window

if TYPE_CHECKING:
    from sparselrp_cli.runs.request import RunRequest


@dataclass(frozen=True, slots=True, eq=False)
class RowsOfRegions:
    """Rows by the names of inputs: the first axis is that of the regions, or of the records without them."""

    by_name: Mapping[str, Rows] = field(default_factory=dict)

    def of(self, windows: Sequence[Window]) -> dict[str, Tensor]:
        """Give the rows of windows; a record's windows all have its row."""
        numbers = [window.index for window in windows]
        return {name: row_tensor(rows[numbers], torch.float64) for name, rows in self.by_name.items()}


def asked_of(models: Sequence[ModelRequest]) -> tuple[RowsAsked, ...]:
    """Give the files of rows that models name; all of a run name the same."""
    return row_files(models[0].inputs) if models else ()


def rows_of_regions(request: "RunRequest") -> RowsOfRegions:
    """Open the files of rows of a run, before anything that takes long.

    Raises
    ------
    ModelError
        If a file can't be read, or holds anything but finite numbers.
    InputError
        If the rows aren't as many as the regions, or can't be told which window is whose.
    """
    asked = asked_of(request.models)
    if not asked:
        return RowsOfRegions()
    _require_own_regions(request, asked[0])
    count, what = _counted(request, asked[0])
    found = {}
    for each in asked:
        rows = read_rows(each)
        if len(rows) != count:
            raise InputError(
                f"{each.path}: {len(rows)} rows for {count} {what}; give one row for each, in their order,"
                " those that are skipped included"
            )
        found[each.name] = rows
    return RowsOfRegions(found)


def _require_own_regions(request: "RunRequest", first: RowsAsked) -> None:
    """Refuse runs whose windows aren't the regions that the rows go with, as they stand."""
    what = f"--input {first.name}={first.path}"
    constant = f"hold the input constant, {first.name}=SHAPE:VALUE"
    if request.settings.allele is not None:
        raise InputError(f"{what}: rows go with regions, not with variants; {constant}")
    if not request.multiqc:
        raise InputError(f"{what}: rows go with regions, not with shuffled or chosen windows; {constant}")
    if request.settings.reverse_complement:
        raise InputError(
            f"{what}: a row is of one orientation of its window, and --reverse-complement reads both; leave"
            f" it out, or {constant}"
        )


def _counted(request: "RunRequest", first: RowsAsked) -> tuple[int, str]:
    """Count what the rows go with, and name it."""
    path = request.sequences if request.regions is None else request.regions
    if is_pipe(path):
        raise InputError(
            f"{display_name(path)}: counted first, to compare with the rows of {first.path}, and a pipe can"
            " be read only once; write it to a file"
        )
    if request.regions is None:
        return sum(1 for _ in read_records(path)), f"records of {path}"
    return sum(1 for _ in read_regions(path)), f"regions of {path}"
