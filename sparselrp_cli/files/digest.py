"""What a file is known by: its name, its size and its SHA-256."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self


def sha256(path: Path | str) -> str:
    """Give the SHA-256 of a file as 64 hexadecimal digits."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class FileEntry:
    """A file as a manifest names it.

    Attributes
    ----------
    file : str
        Its name; of a pipe, which is gone, the path that was given.
    bytes : int or None
        Its size; None of a pipe.
    sha256 : str or None
        None of a pipe.
    """

    file: str
    bytes: int | None = None
    sha256: str | None = None

    @classmethod
    def of(cls, path: Path | str) -> Self:
        """Describe a file that is there, or a pipe."""
        if not Path(path).is_file():
            return cls(str(path))
        path = Path(path)
        return cls(path.name, path.stat().st_size, sha256(path))

    def to_json(self) -> dict[str, object]:
        """Give it as JSON, of a pipe the name alone."""
        if self.sha256 is None:
            return {"file": self.file}
        return {"file": self.file, "bytes": self.bytes, "sha256": self.sha256}

    @classmethod
    def from_json(cls, entry: object) -> Self:
        """Read what `to_json` gave.

        Raises
        ------
        ValueError
            If it is anything else.
        """
        match entry:
            case {"file": str(file), "bytes": int(size), "sha256": str(digest)}:
                return cls(file, size, digest)
            case {"file": str(file)} if isinstance(entry, Mapping) and len(entry) == 1:
                return cls(file)
        raise ValueError("a file is described by 'file', 'bytes' and 'sha256'")
