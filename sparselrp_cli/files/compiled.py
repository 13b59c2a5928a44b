"""Loops that numba compiled, kept on disk: what is damaged there, or can't be written, stops nobody."""

from abc import abstractmethod
from contextlib import suppress
from typing import Any

from numba.core.caching import FunctionCache


class KeptLoops(FunctionCache):
    """The loops of a function, compiled anew where a file is cut off or the disk is full."""

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - unpickling what is damaged raises anything
            self.say("read", error)
            with suppress(OSError):
                self.flush()  # type: ignore[no-untyped-call]
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]
        except Exception as error:  # noqa: BLE001 - so does reading the index that it is entered in
            self.say("written", error)

    @abstractmethod
    def say(self, what: str, error: Exception) -> None:
        """Say that the files can't be `what`: read, or written."""
