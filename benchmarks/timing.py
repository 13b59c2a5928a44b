"""Time and peak memory of calls: ratios in one run, on the CPU or a GPU."""

import ctypes
import gc
import statistics
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from sparselrp_cli.relevance.batching import choose_device, prepare_device

Call = Callable[[], object]
CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}
"""What seconds on the CPU are: those that pass, or those that this process computes, all threads together.
Where other programs take the cores, the latter with one thread is what can still be compared."""


def ready_device(name: str) -> torch.device:
    """Choose the device, set as the command sets it: full float32, repeatable."""
    device = choose_device(name)
    prepare_device(device)
    return device


def timed(run: Call, device: torch.device, clock: str = "wall") -> float:
    """Seconds of one call; on a GPU between two events on its stream, once what was queued before is done."""
    if device.type != "cuda":
        began = CLOCKS[clock]()
        run()
        return CLOCKS[clock]() - began
    first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    torch.cuda.synchronize(device)
    first.record(torch.cuda.current_stream(device))
    run()
    last.record(torch.cuda.current_stream(device))
    torch.cuda.synchronize(device)
    return first.elapsed_time(last) / 1000


def interleaved(
    runs: Mapping[str, Call], rounds: int, device: torch.device, clock: str = "wall"
) -> dict[str, list[float]]:
    """Seconds of each, measured in turns after a round that warms up.

    In turns, so that what else the machine does falls on all of them alike.
    """
    times: dict[str, list[float]] = {name: [] for name in runs}
    for number in range(rounds + 1):
        for name, run in runs.items():
            seconds = timed(run, device, clock)
            if number:
                times[name].append(seconds)
    return times


def ratios(times: Mapping[str, list[float]], reference: str) -> dict[str, float]:
    """Medians of the ratios to the reference of the same round."""
    return {
        name: statistics.median(t / r for t, r in zip(taken, times[reference], strict=True))
        for name, taken in times.items()
        if name != reference
    }


def peak_memory(run: Call, device: torch.device) -> float:
    """Bytes that one call takes at its peak over what is there before it.

    On the CPU this is the process's resident memory: only a process that has done nothing else tells it.
    """
    run()
    run()
    gc.collect()
    return _on_gpu(run, device) if device.type == "cuda" else _on_host(run)


def _on_gpu(run: Call, device: torch.device) -> float:
    torch.cuda.synchronize(device)
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    run()
    torch.cuda.synchronize(device)
    return float(torch.cuda.max_memory_allocated(device) - before)


def _on_host(run: Call) -> float:
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")  # resets the high-water mark
    before = _resident("VmRSS")
    run()
    return 1024.0 * (_resident("VmHWM") - before)


def _resident(key: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1])
    return 0
