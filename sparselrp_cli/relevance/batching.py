"""Devices and batch sizes: how much is explained at once, and where."""

import logging
from collections.abc import Callable
from typing import TypeVar

import torch

from sparselrp_cli.errors import SparselrpError
from sparselrp_cli.model.graph import CanonicalGraph
from sparselrp_cli.model.operations import numbers

logger = logging.getLogger("sparselrp")

_CPU_BUDGET = 512 << 20
_GPU_SHARE = 0.5
_LARGEST = 256
# Values, multipliers, and what one step works with at a time.
_COPIES = 3

Result = TypeVar("Result")


def choose_device(name: str) -> torch.device:
    """Turn ``auto``, ``cpu`` or ``cuda[:N]`` into a device.

    Raises
    ------
    SparselrpError
        If a GPU was asked for and there is none: the CPU is never taken in silence.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if not count:
            raise SparselrpError(f"device '{name}' was asked for, but torch finds no GPU; use --device cpu")
        if (device.index or 0) >= count:
            raise SparselrpError(
                f"device '{name}' was asked for, but there are only {count} GPUs (0 to {count - 1})"
            )
    return device


def prepare_device(device: torch.device) -> str:
    """Make computing on a device repeatable, in full float32; give its name for the log."""
    if device.type != "cuda":
        return f"cpu ({torch.get_num_threads()} threads)"
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return f"{device} ({torch.cuda.get_device_name(device)})"


def automatic_batch_size(graph: CanonicalGraph) -> int:
    """Choose how many windows go through the engine at once, from the size of the graph's tensors.

    On the CPU the choice depends on the graph alone, so that equal runs give equal bytes.
    """
    per_sample = sum(numbers(node.shape) for node in graph.nodes) * graph.dtype.itemsize * _COPIES
    budget = _CPU_BUDGET
    if graph.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(graph.device)
        budget = int(free * _GPU_SHARE)
    size = max(1, min(_LARGEST, budget // max(per_sample, 1)))
    return 1 << (size.bit_length() - 1)


def halving(size: int, work: Callable[[int, int], Result]) -> list[Result]:
    """Do work on `size` windows, in halves of halves where memory runs out.

    Parameters
    ----------
    work : callable
        Takes the first and the end of a range of windows.

    Raises
    ------
    SparselrpError
        If memory doesn't suffice for a single window.
    """
    done: list[Result] = []
    pending = [(0, size)]
    while pending:
        start, end = pending.pop()
        try:
            done.append(work(start, end))
        except torch.OutOfMemoryError as error:
            if end - start == 1:
                raise SparselrpError(
                    "out of memory with a single window; use another --device or --dtype"
                ) from error
            torch.cuda.empty_cache()
            middle = (start + end) // 2
            logger.warning("out of memory with %d windows; going on with %d", end - start, middle - start)
            pending += [(middle, end), (start, middle)]
    return done
