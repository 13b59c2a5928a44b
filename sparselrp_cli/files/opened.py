"""What is open as long as the block of a writer, and left in order at its end."""

from abc import ABC, abstractmethod
from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Opened(ABC):
    """A context manager that keeps others open until the end of its block.

    Where one of them can't be entered, those before it are left.
    """

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._open(stack)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        return self._stack.__exit__(kind, error, trace)

    @abstractmethod
    def _open(self, stack: ExitStack) -> None:
        """Enter on a stack whatever the block needs."""
