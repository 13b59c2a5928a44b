"""Batches of one shape, again and again, on a GPU: recorded once and replayed as a whole (a CUDA graph).

A walk is some hundred short kernels, and launching them takes the host longer than a GPU needs for small
networks or batches. A replay is one launch. It runs the same kernels on the same shapes, so that the bytes
are the same.
"""

import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

logger = logging.getLogger("sparselrp")

BEFORE_RECORDING = 3
"""Batches of a shape that are launched as ever; to record one costs as much as to explain five."""
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
    tensors : callable
        Gives the tensors of what it made.
    recorder : Recorder
    """

    def __init__(
        self,
        work: Callable[[Tensor], Made],
        tensors: Callable[[Made], Sequence[Tensor]],
        recorder: "Recorder[Made] | None" = None,
    ) -> None:
        self._work = work
        self._tensors = tensors
        self._recorder = recorder or Recorder()
        self._seen: Counter[torch.Size] = Counter()
        self._recordings: dict[torch.Size, Recording[Made]] = {}
        self._given_up = False

    def __call__(self, x: Tensor) -> Made:
        if (recording := self._recordings.get(x.shape)) is not None:
            return recording(x)
        self._seen[x.shape] += 1
        # One shape alone, the batch's: each keeps memory.
        if self._seen[x.shape] > BEFORE_RECORDING and not self._recordings and not self._given_up:
            self._try_to_record(x)
        return self._work(x)

    def _try_to_record(self, x: Tensor) -> None:
        try:
            if not self._recorder.has_room(x.device):
                raise RuntimeError("too little memory")
            recording = self._recorder.record(self._work, x)
            before = [tensor.clone() for tensor in self._tensors(self._work(x))]
            after = self._tensors(recording(x))
            # Some convolutions are computed by other kernels in a graph: with other bytes, or slower.
            if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
                raise RuntimeError("a recording gives other bytes")
            if self._recorder.milliseconds(recording, x) > self._recorder.milliseconds(self._work, x):
                raise RuntimeError("a recording is slower")
        except RuntimeError as error:
            self._given_up = True
            logger.debug("batches are launched one by one on the GPU: %s", error)
            return
        self._recordings[x.shape] = recording


class Recorder(Generic[Made]):
    """How work is recorded on a GPU, and what speaks against it."""

    def has_room(self, device: torch.device) -> bool:
        """Whether there is memory to spare for a recording of what took the most so far."""
        free, _ = torch.cuda.mem_get_info(device)
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return free + unused >= _ROOM * torch.cuda.max_memory_allocated(device)

    def record(self, work: Callable[[Tensor], Made], x: Tensor) -> Recording[Made]:
        """Record work on tensors like one; see `Recorded`."""
        return Recorded(work, x)

    def milliseconds(self, work: Callable[[Tensor], object], x: Tensor) -> float:
        """Measure how long work takes, the host's launching included."""
        torch.cuda.synchronize(x.device)
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        start.record()
        work(x)
        end.record()
        torch.cuda.synchronize(x.device)
        return float(start.elapsed_time(end))
