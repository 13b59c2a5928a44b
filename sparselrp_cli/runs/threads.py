"""How many threads a run computes with."""

import torch

from sparselrp_cli.files.cores import usable_cores


def use_threads(asked: int | None) -> None:
    """Let torch compute with as many threads as were asked for; the compiled loops go by torch.

    Unless told it is torch's choice, but no more than this process may use: torch knows its affinity, and not
    the quota of its control groups.
    """
    torch.set_num_threads(asked or min(torch.get_num_threads(), usable_cores()))
