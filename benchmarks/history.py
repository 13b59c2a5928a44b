"""What git says of the code: the commit that is run, and what has changed since another."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Figures and prose aren't code: a run that keeps them doesn't change what the next one measures.
NOT_CODE = (":(exclude)benchmarks/results", ":(exclude)*.md")


def git(*arguments: str, root: Path = ROOT) -> str | None:
    """Give what git prints; None where it fails or isn't there."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def current_commit(root: Path = ROOT) -> tuple[str | None, bool | None]:
    """Give the commit that is checked out, and whether files differ from it.

    Where there is no git, as in a copy of the files, the commit is what $SPARSELRP_COMMIT says, and whether
    files differ isn't known.
    """
    commit = git("rev-parse", "HEAD", root=root)
    if commit is None:
        return os.environ.get("SPARSELRP_COMMIT") or None, None
    return commit, bool(git("status", "--porcelain", "--", ".", *NOT_CODE, root=root))


def commits_since(commit: str, paths: Sequence[str], root: Path = ROOT) -> int | None:
    """Count the commits after one that changed any of the paths; None where git doesn't know it."""
    found = git("rev-list", "--count", f"{commit}..HEAD", "--", *paths, *NOT_CODE, root=root)
    return None if found is None else int(found)


def uncommitted(paths: Sequence[str], root: Path = ROOT) -> bool:
    """Whether files under the paths differ from what is committed."""
    return bool(git("status", "--porcelain", "--", *paths, *NOT_CODE, root=root))
