"""The control groups that a process is in: batch systems and containers limit it by them."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

_OWN_GROUPS = Path("/proc/self/cgroup")
_ROOT = Path("/sys/fs/cgroup")


def group_folders(controller: str) -> Iterator[Path]:
    """Give the folders of the groups that limit something, of the second and of the first version.

    Parameters
    ----------
    controller : str
        Such as ``memory`` or ``cpu``.

    Yields
    ------
    Path
        A group's own folder, and those of the groups around it.
    """
    try:
        groups = [line.split(":", 2) for line in _OWN_GROUPS.read_text().splitlines()]
    except OSError:
        return
    for _, controllers, path in (group for group in groups if len(group) == 3):
        if not controllers or controller in controllers.split(","):
            top = _ROOT / controllers
            own = top / path.lstrip("/")
            # In a container the path may be that of the host.
            yield from [own, *own.parents[: len(own.parts) - len(top.parts)], top]


def numbers_in(path: Path) -> list[int | None] | None:
    """Read the numbers of a group's file, None for ``max``; None in place of all where it isn't one."""
    with suppress(OSError, ValueError):
        return [None if text == "max" else int(text) for text in path.read_text().split()]
    return None
