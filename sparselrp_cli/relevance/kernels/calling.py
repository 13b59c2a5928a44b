"""How compiled loops are called with tensors: as arrays, and with how many threads."""

import threading
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sparselrp_cli.relevance.kernels import compiling


class _State(threading.local):
    """How many threads the compiled loops use: torch's number, but one where there is little to do."""

    allowed = 0
    now = 0


_threads = _State()


def use_threads() -> None:
    """Let the compiled loops use as many threads as torch does."""
    _threads.allowed = torch.get_num_threads()


def with_threads(size: int) -> None:
    """Set the number of threads for work on so many numbers."""
    wanted = 1 if size <= compiling.PIECE else (_threads.allowed or torch.get_num_threads())
    if wanted != _threads.now:
        torchs = torch.get_num_threads()
        compiling.use_threads(wanted)
        _threads.now = wanted
        # numba starts its threads at the first call, and with them changes OpenMP's number, which is torch's.
        if torch.get_num_threads() != torchs:
            torch.set_num_threads(torchs)


def array(tensor: Tensor) -> Any:
    """View a tensor as an array in C order."""
    return (tensor if tensor.is_contiguous() else tensor.contiguous()).numpy()


def added_up(sums: Any) -> Tensor:
    """Add up the sums of pieces, float64 of shape (N, pieces, ...), always in the same order: (N, ...)."""
    total = np.zeros((len(sums), *sums.shape[2:]))
    for piece in range(sums.shape[1]):
        total += sums[:, piece]
    return torch.from_numpy(total)
