"""Whether what a command left, said and ended with after a fault is what it should be."""

import json
import re
import signal
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from benchmarks.robustness.failing_disk import Fault
from sparselrp_cli.files.belonging import listed, why_not

CAUSES = {
    "ENOSPC": ("no space",),
    "EIO": ("input/output error", "i/o error", "read back", "its writer gave up"),
    "EINTR": ("interrupted", "read back", "its writer gave up"),
    "short write": ("short", "read back"),
}
KILLED = {signal.SIGKILL: (-9, 0), signal.SIGTERM: (-15, 75, 0)}
ASIDE = ("cache", "tmp")
"""Folders of the cache and of temporary files, whose names nobody takes for results."""
RECORDS = (".manifest.json", ".motifs.json", ".compare.json", ".probe.json")

Files = Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class Ending:
    """How a command ended.

    Attributes
    ----------
    code : int
        Minus the signal that ended it, or its exit code; 124 if it hung.
    hits : int
        Calls that failed.
    fault : Fault or None
    killed : Signals or None
    said : str
    """

    code: int
    hits: int
    fault: Fault | None
    killed: signal.Signals | None
    said: str


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of it.

    Attributes
    ----------
    outcome : str
    problems : tuple of str
    is_whole : bool
        Whether every file is that of an undisturbed run.
    """

    outcome: str
    problems: tuple[str, ...]
    is_whole: bool


def verdict(ending: Ending, left: Files, whole: Files, before: Files, folder: Path) -> Verdict:
    """Judge.

    Parameters
    ----------
    left, whole, before : mapping of str to bytes
        The files that are there, those of an undisturbed run, and those that were there before.
    folder : Path
        Where they lie.
    """
    is_whole = _results(left) == _results(whole)
    found = [
        *_of_code(ending, is_whole, left, whole),
        *_of_files(ending, left, whole, before),
        *_of_sets(folder),
    ]
    if ending.code == 0:
        outcome = "no call was hit" if ending.hits == 0 else "done, every byte right"
    elif ending.killed is not None:
        outcome = "killed" if ending.code < 0 else "stopped in order"
    else:
        outcome = "refused in a line"
    return Verdict(outcome, tuple(found), is_whole)


def _results(files: Files) -> dict[str, bytes]:
    return {name: content for name, content in files.items() if PurePosixPath(name).parts[0] not in ASIDE}


def _of_code(ending: Ending, is_whole: bool, left: Files, whole: Files) -> Iterator[str]:
    if ending.code == 0 and not is_whole:
        here, there = _results(left), _results(whole)
        wrong = [name for name in {**here, **there} if here.get(name) != there.get(name)]
        yield f"exit code 0, but not as undisturbed: {', '.join(sorted(wrong))}"
    if ending.killed is not None:
        told = (
            ending.code == 1 and f"was killed by {ending.killed.name}" in ending.said
        )  # what it had started
        if ending.code not in KILLED[ending.killed] and not told:
            yield f"exit code {ending.code} after {ending.killed.name}: {ending.said[-300:].strip()}"
    elif ending.code not in (0, 1):
        yield f"exit code {ending.code}: {ending.said[-300:].strip()}"
    elif ending.code == 1 and ending.fault is not None:
        yield from _of_message(ending.fault, ending.said)
    if noise := _noise(ending.said):
        yield f"says '{noise}'"


def _noise(said: str) -> str:
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith("sparselrp: ")]
    return " / ".join(lines)[:300]


def _of_message(fault: Fault, said: str) -> Iterator[str]:
    lines = [line for line in said.splitlines() if line.startswith("sparselrp: error:")]
    if len(lines) != 1:
        yield f"{len(lines)} lines of error: {said.strip()[-300:]}"
        return
    if "internal error" in lines[0] or "a fault of sparselrp" in lines[0]:
        yield lines[0]
    elif not any(cause in lines[0].lower() for cause in CAUSES[fault.name]):
        yield f"doesn't name the cause: {lines[0]}"
    elif not re.search(r"/work/|genome\.fa", lines[0]):
        yield f"names no file: {lines[0]}"


def _of_files(ending: Ending, left: Files, whole: Files, before: Files) -> Iterator[str]:
    for name, content in _results(left).items():
        last = PurePosixPath(name).name
        is_hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
        if is_hidden:
            if ending.killed is not signal.SIGKILL and ending.code != -15 and name not in before:
                yield f"leaves {name}"
        elif last.endswith(".partial") and ending.code != 0:
            continue
        elif content not in (whole.get(name), before.get(name)):
            yield f"{name} is neither the file of this run nor the one before"


def _of_sets(folder: Path) -> Iterator[str]:
    """Say which records list files that aren't there as listed."""
    for record in sorted(folder.rglob("*.json")):
        ending = next((end for end in RECORDS if record.name.endswith(end)), None)
        if ending is None or "cache" in record.relative_to(folder).parts:
            continue
        beginning = record.name.removesuffix(ending) + "." if ending == ".motifs.json" else ""
        files = listed(json.loads(record.read_bytes()), beginning)
        for name in files:
            if reason := why_not(record.with_name(name), files):
                yield f"{record.name} lists {name}, which {reason}"
