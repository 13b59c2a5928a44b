"""Room on the disk, asked for before it is needed.

HDF5 crashes the process, at the latest when it ends, where a write fails. So what they will write
is reserved in another file for a moment, which, unlike the count of free blocks, takes quotas into account.
"""

import errno
import os
import tempfile
from pathlib import Path

from sparselrp_cli.files.atomic import HIDDEN

SLACK = 4 << 20


def require_room(path: Path, n_bytes: int) -> None:
    """Check that a file can grow.

    Parameters
    ----------
    path : Path
        An existing file.
    n_bytes : int
        By how much; 4 MiB are added for what the libraries write besides.

    Raises
    ------
    OSError
        As writing would: no space, quota used up, file too large.
    """
    n_bytes += SLACK
    disk = os.statvfs(path.parent)
    if disk.f_bavail * disk.f_frsize < n_bytes:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not hasattr(os, "posix_fallocate"):
        return
    with tempfile.TemporaryFile(prefix=HIDDEN, dir=path.parent) as ballast:
        try:
            os.posix_fallocate(ballast.fileno(), path.stat().st_size, n_bytes)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise
