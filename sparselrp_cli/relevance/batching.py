"""Devices and batch sizes: how much is explained at once, and where."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor

from sparselrp_cli.errors import SparselrpError, number_of
from sparselrp_cli.graph.canonical import CanonicalGraph
from sparselrp_cli.graph.shapes import numbers
from sparselrp_cli.model.memory import free_memory

logger = logging.getLogger("sparselrp")

_CPU_BUDGET = 512 << 20
_GPU_SHARE = 0.8
_KEPT_SHARE, _KEPT_SHARE_GPU = 0.3, 0.5
"""Of the free memory, for what the walk reads; its own tensors and what else a step takes need the rest."""
LARGEST_BATCH = 256
"""Windows; a power of two, as all automatic sizes are."""
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


def allow_tf32(allowed: bool) -> None:
    """Let NVIDIA GPUs round factors of products to 10 bits, or not."""
    torch.backends.cudnn.allow_tf32 = allowed
    torch.backends.cuda.matmul.allow_tf32 = allowed


def prepare_device(device: torch.device) -> str:
    """Make computing on a device repeatable, in full float32; give its name for the log."""
    if device.type != "cuda":
        return f"cpu ({number_of(torch.get_num_threads(), 'thread')})"
    allow_tf32(False)
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    return f"{device} ({torch.cuda.get_device_name(device)})"


@contextmanager
def full_precision(device: torch.device) -> Iterator[None]:
    """Compute on a device as `prepare_device` makes it, and leave its settings as they were."""
    if device.type != "cuda":
        yield
        return
    cudnn, matmul = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic
    try:
        prepare_device(device)
        yield
    finally:
        cudnn.allow_tf32, matmul.allow_tf32, cudnn.benchmark, cudnn.deterministic = before


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Copy a tensor of the host to a device; to a GPU from pinned memory, without waiting for it."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)


def to_host(values: Tensor) -> Tensor:
    """Copy a tensor to the host; from a GPU to pinned memory, without waiting for it.

    What comes from a GPU is there once an event recorded behind this call has happened.
    """
    if values.device.type != "cuda":
        return values.cpu()
    pinned = torch.empty(values.shape, dtype=values.dtype, pin_memory=True)
    return pinned.copy_(values, non_blocking=True)


def memory_for_values(device: torch.device) -> int:
    """Give the bytes that what the walk reads of a batch may take: a part of what is free."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * _KEPT_SHARE_GPU)
    return int(free_memory() * _KEPT_SHARE)


def automatic_batch_size(graph: CanonicalGraph, trial: Callable[[int], object] | None = None) -> int:
    """Choose how many windows go through the engine at once.

    On the CPU from the size of the graph's tensors alone, so that equal runs give equal bytes; on a GPU from
    the memory that explaining one and two windows takes.

    Parameters
    ----------
    trial : callable
        Explains so many windows.
    """
    if graph.device.type == "cuda" and trial is not None:
        return _measured_batch_size(graph.device, trial)
    per_sample = sum(numbers(node.shape) for node in graph.nodes) * graph.dtype.itemsize * _COPIES
    return fitting_batch_size(0, per_sample, _CPU_BUDGET)


def fitting_batch_size(fixed: int, per_window: int, budget: int) -> int:
    """Give the largest power of two of windows that fits, between 1 and 256; all in bytes."""
    size = max(1, min(LARGEST_BATCH, (budget - fixed) // max(per_window, 1)))
    return 1 << (size.bit_length() - 1)


def _measured_batch_size(device: torch.device, trial: Callable[[int], object]) -> int:
    """Measure what one window and two take, after one that loads kernels and fills caches."""
    peaks = []
    try:
        trial(1)
        for count in (1, 2):
            torch.cuda.synchronize(device)
            torch.cuda.reset_peak_memory_stats(device)
            before = torch.cuda.memory_allocated(device)
            trial(count)
            peaks.append(torch.cuda.max_memory_allocated(device) - before)
    except torch.OutOfMemoryError:
        return 1
    torch.cuda.empty_cache()
    free, _ = torch.cuda.mem_get_info(device)
    per_window = max(1, peaks[1] - peaks[0])
    return fitting_batch_size(max(0, peaks[0] - per_window), per_window, int(free * _GPU_SHARE))


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
        except (torch.OutOfMemoryError, MemoryError, RuntimeError) as error:
            if not _is_out_of_memory(error):
                raise
            if end - start == 1:
                raise SparselrpError(
                    "out of memory with a single window; use another --device or --dtype"
                ) from error
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            middle = (start + end) // 2
            logger.warning("out of memory with %d windows; going on with %d", end - start, middle - start)
            pending += [(middle, end), (start, middle)]
    return done


def _is_out_of_memory(error: Exception) -> bool:
    """Whether memory ran out: the CPU's allocator says so in words only."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)
