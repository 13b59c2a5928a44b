"""The runs that are compared: archives, each with one target and a label."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sparselrp_cli.errors import InputError
from sparselrp_cli.outputs.archive import ArchiveReader


@dataclass(frozen=True, eq=False)
class Member:
    """A run as it is compared.

    Attributes
    ----------
    label : str
        What tables call it; each run has one of its own.
    reader : ArchiveReader
    target : int
    """

    label: str
    reader: ArchiveReader
    target: int

    @property
    def target_name(self) -> str:
        return self.reader.target_names[self.target]


@contextmanager
def opened(texts: Sequence[str], target: str | None) -> Iterator[list[Member]]:
    """Open the archives of a comparison.

    Parameters
    ----------
    texts : sequence of str
        Each an archive, or ``ARCHIVE@TARGET``.
    target : str or None
        Of those archives that name none.

    Raises
    ------
    InputError, OutputError
        If an archive can't be read or has no such target, or the same run is named twice.
    """
    with ExitStack() as stack:
        found = []
        for text in texts:
            path, name = split(text)
            reader = stack.enter_context(ArchiveReader(path))
            found.append((reader, reader.target_number(target if name is None else name)))
        runs = [(reader.path.resolve(), number) for reader, number in found]
        if len(set(runs)) < len(runs):
            raise InputError("a run is named twice; compare different runs, or targets as in A.h5@TARGET")
        yield [Member(label, *run) for label, run in zip(_labels(found), found, strict=True)]


def split(text: str) -> tuple[Path, str | None]:
    """Split ``ARCHIVE@TARGET`` at the first ``@`` behind a file that is there; both may hold more of them."""
    if Path(text).exists():
        return Path(text), None
    for at, sign in enumerate(text):
        if sign == "@" and Path(text[:at]).is_file():
            return Path(text[:at]), text[at + 1 :]
    return Path(text), None


def _labels(runs: Sequence[tuple[ArchiveReader, int]]) -> list[str]:
    """Call runs by their files, by their targets where these alone differ, and with both where they must."""
    stems = [reader.path.stem for reader, _ in runs]
    targets = [reader.target_names[number] for reader, number in runs]
    folders = [f"{reader.path.resolve().parent.name}/{reader.path.stem}" for reader, _ in runs]
    both = [f"{stem}@{target}" for stem, target in zip(stems, targets, strict=True)]
    all_three = [f"{folder}@{target}" for folder, target in zip(folders, targets, strict=True)]
    of_targets = targets if len(set(stems)) == 1 else both
    for labels in (stems, of_targets, folders, all_three):
        if len(set(labels)) == len(labels):
            return labels
    seen: Counter[str] = Counter()
    numbered = []
    for label in all_three:
        seen[label] += 1
        numbered.append(f"{label} ({seen[label]})")
    return numbered
