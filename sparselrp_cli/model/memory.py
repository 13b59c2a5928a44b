"""How much memory a process may still take, and giving back what it doesn't need any more."""

import ctypes
import gc
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psutil
from torch import nn

from sparselrp_cli.files.control_groups import group_folders, numbers_in

LARGE = 64 << 20
"""Bytes of parameters from which on copies of a module are worth looking for."""
_FILES = (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes"))
"""The limit and what is taken, of the second and of the first version of control groups."""


def free_memory() -> int:
    """Give the bytes that are free on this machine, or that a job's limit leaves, whichever is less."""
    return int(max(0, min([psutil.virtual_memory().available, *_left_in_groups()])))


def is_large(module: nn.Module) -> bool:
    """Whether copies of a module are worth looking for."""
    return sum(parameter.nbytes for parameter in module.parameters()) >= LARGE


def give_back(module: nn.Module) -> None:
    """Give memory back that copies of a module took, if it is large."""
    if is_large(module):
        collect()


def collect() -> None:
    """Give memory back that nothing refers to any more.

    Traced programs and modules refer to themselves, so that they stay until Python looks for such; and glibc
    keeps what was freed between what wasn't.
    """
    gc.collect()
    with suppress(OSError, AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _left_in_groups() -> Iterator[int]:
    """Give what the limit of each control group leaves."""
    for folder in group_folders("memory"):
        yield from _left(folder)


def _left(group: Path) -> Iterator[int]:
    for names in _FILES:
        match [numbers_in(group / name) for name in names]:
            case [[int(most)], [int(used)]]:
                yield most - used
