"""Batches of one shape, again and again, on a GPU: recorded once and replayed as a whole (a CUDA graph).

A walk is some hundred short kernels, and launching them takes the host longer than a GPU needs for small
networks or batches. A replay is one launch. It runs the same kernels on the same shapes, so that the bytes
are the same.
"""

import logging
from collections import Counter
from collections.abc import Callable
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

logger = logging.getLogger("sparselrp")

BEFORE_RECORDING = 3
"""Batches of a shape that are launched as ever; recording one costs about as much as explaining two."""
_ROOM = 3
"""Times the memory of a batch that must be free: what is recorded keeps its memory for itself."""

Made = TypeVar("Made")
MadeThere = TypeVar("MadeThere", covariant=True)


class Recording(Protocol[MadeThere]):
    """Work on a batch that can be done again: the results are overwritten by the next."""

    def __call__(self, x: Tensor) -> MadeThere: ...


class Recorded(Generic[Made]):
    """Work on a batch as a CUDA graph.

    Parameters
    ----------
    work : callable
        Takes a tensor and makes others of it; must not make the host wait for the GPU.
    x : Tensor
        On a GPU.

    Raises
    ------
    RuntimeError
        If the work makes the host wait, or memory doesn't suffice.
    """

    def __init__(self, work: Callable[[Tensor], Made], x: Tensor) -> None:
        self._x = x.clone()
        self._graph = torch.cuda.CUDAGraph()
        # Other threads may go on using the GPU's driver: they write results, and allocate pinned memory.
        with (
            torch.cuda.device(x.device),
            torch.cuda.graph(self._graph, capture_error_mode="thread_local"),
        ):
            self._made = work(self._x)

    def __call__(self, x: Tensor) -> Made:
        self._x.copy_(x)
        self._graph.replay()
        return self._made


class Replays(Generic[Made]):
    """Does some work on batches, and records it where one shape comes again and again.

    Parameters
    ----------
    work : callable
        Takes a tensor and makes others of it. What it makes may be overwritten at the next call: whoever
        wants to keep it copies it, which a stream does in order.
    record : callable
        Records the work for tensors like one.
    has_room : callable
        Whether there is memory to record it on a device.
    """

    def __init__(
        self,
        work: Callable[[Tensor], Made],
        record: Callable[[Callable[[Tensor], Made], Tensor], Recording[Made]] = Recorded,
        has_room: Callable[[torch.device], bool] | None = None,
    ) -> None:
        self._work = work
        self._record = record
        self._has_room = has_room or room_to_record
        self._seen: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Recording[Made]] = {}
        self._given_up = False

    def __call__(self, x: Tensor) -> Made:
        if (recording := self._recordings.get(x.shape)) is not None:
            return recording(x)
        self._seen[x.shape] += 1
        # One shape alone, the batch's: each keeps memory.
        if self._seen[x.shape] <= BEFORE_RECORDING or self._recordings or self._given_up:
            return self._work(x)
        if not self._has_room(x.device):
            self._given_up = True
            return self._work(x)
        return self._recorded(x)

    def _recorded(self, x: Tensor) -> Made:
        try:
            recording = self._record(self._work, x)
        except RuntimeError as error:
            self._given_up = True
            logger.debug("batches aren't replayed on the GPU: %s", error)
            return self._work(x)
        self._recordings[x.shape] = recording
        return recording(x)


def room_to_record(device: torch.device) -> bool:
    """Whether a GPU has memory to spare for a recording of what took the most so far."""
    free, _ = torch.cuda.mem_get_info(device)
    unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return free + unused >= _ROOM * torch.cuda.max_memory_allocated(device)
