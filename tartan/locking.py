"""Advisory locks on open files, on file systems that have them and on those that do not."""

import errno
import fcntl
from typing import IO, Any

UNSUPPORTED = frozenset(
    {errno.ENOLCK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM}
)
"""What a system answers where a file system has no locks: some network and FUSE mounts."""


def try_lock(file: IO[Any]) -> bool:
    """Lock an open file exclusively, without waiting. The system releases it with the process.

    Args:
        file: open; locks of one file through two open files exclude each other, even in one
            process.

    Returns:
        True if the lock is held, False if the file system has no locks.

    Raises:
        BlockingIOError: another open file holds the lock.
        OSError: the file cannot be locked for any other reason.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        if error.errno in UNSUPPORTED:
            return False
        raise
    return True
