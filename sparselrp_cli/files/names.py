"""Names from users' files, made safe for file names and for lines of a table."""

import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

LONGEST = 80
# Controls, line and paragraph separators (str.splitlines breaks at them), and what isn't text at all.
UNSAFE = ("Cc", "Zl", "Zp", "Cs")


def target_file_name(name: str) -> str:
    """Give the part of a file name that stands for one target.

    Letters, digits and ``. _ - + =`` stay; every run of other characters, and a first ``.`` or ``-``, becomes
    ``_``; so do two dots. At most 80 bytes, never empty.
    """
    safe = re.sub(r"[^\w.+=-]+|\.\.+", "_", unicodedata.normalize("NFC", name))
    safe = re.sub(r"^[.-]", "_", safe)
    return safe.encode()[:LONGEST].decode(errors="ignore").rstrip(".") or "_"


def target_file_names(names: Sequence[str], endings: Sequence[str] = ("",)) -> list[str]:
    """Give each target its part of a file name, unique also where case doesn't count.

    A name that is taken gets ``_2``, ``_3``, ... in the order of the targets.

    Parameters
    ----------
    names : sequence of str
    endings : sequence of str
        What file names go on with: a name counts as taken if it is with any of them.
    """
    taken: set[str] = set()
    last: Counter[str] = Counter()  # counting on from the last number keeps thousands of equal names linear
    given = []
    for name in map(target_file_name, names):
        candidate = name if name not in last else f"{name}_{last[name]}"
        while not taken.isdisjoint((candidate + ending).casefold() for ending in endings):
            last[name] = max(1, last[name]) + 1
            candidate = f"{name}_{last[name]}"
        taken.update((candidate + ending).casefold() for ending in endings)
        given.append(candidate)
    return given


def field(text: str) -> str:
    """Give the text as one field of a tab-separated line: no tab, no line break, ``.`` where it is empty."""
    if text.isprintable():
        return text or "."
    return "".join("_" if unicodedata.category(c) in UNSAFE else c for c in text)
