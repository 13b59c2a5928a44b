"""A process for which everything is read-only: cwd, home, caches, temporary files, the installation."""

import functools
import os
import shutil
import subprocess
from collections.abc import Sequence

SCRIPT = r"""
mount --make-rprivate / || exit 99
cut -d' ' -f2 /proc/self/mounts | sort -ru | while read -r place; do
    case $place in /proc*|/sys*) continue;; esac
    mount -o remount,bind,ro "$(printf %b "$place")" 2>/dev/null
done
exec "$@"
"""
"""Makes every mount read-only in a namespace of its own, and runs a command."""
TRIED = 'for place in . "$HOME" /tmp /var/tmp /dev/shm; do test -w "$place" && echo "$place"; done; exit 0'


@functools.cache
def why_not() -> str:
    """Say why there can't be one here; nothing where it can."""
    if shutil.which("unshare") is None:
        return "no unshare on PATH, which makes everything read-only"
    done = read_only(["sh", "-c", TRIED])
    if done.returncode:
        return f"no mount namespace can be made here: {done.stderr.strip()}"
    return f"{done.stdout.split()[0]} stays writable" if done.stdout else ""


def read_only(command: Sequence[str], **given: object) -> subprocess.CompletedProcess[str]:
    """Run a command where nothing can be written."""
    alone = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    return subprocess.run(
        ["unshare", *alone, "--mount", "sh", "-c", SCRIPT, "sh", *command],
        capture_output=True, text=True, check=False, **given,
    )  # fmt: skip
