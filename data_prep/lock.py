"""One process at a time: a lock that the system releases when its holder dies, however it dies."""

from __future__ import annotations

import errno
import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO

_NO_LOCKS_HERE = (errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK, errno.EINVAL)
"""What file systems without locks answer."""


@contextmanager
def exclusive_lock(path: Path, on_wait: Callable[[], None] = lambda: None) -> Iterator[BinaryIO]:
    """Hold an exclusive ``flock`` on ``path`` inside the block; ``on_wait`` is called once if another holds it.

    Yields the open file: a child process that inherits its descriptor holds the lock until it ends as well.

    The file stays there: removing a lock file would let two holders in. On a file system without locks the
    block is entered without one; what it guards is then only as safe as atomic renames make it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab") as file:
        if not try_lock(file):
            on_wait()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file


def try_lock(file: IO[bytes]) -> bool:
    """Lock an open file until it is closed; False where another process holds the lock.

    True, and no lock, on a file system without locks.
    """
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS_HERE:
            raise
    return True
