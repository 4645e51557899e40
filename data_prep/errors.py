"""Errors that a user can put right: each is one sentence, and none of them prints a traceback.

Anything else that is raised is a bug of ours and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(Exception):
    """Base of all errors that the user can put right; ``str(error)`` is one sentence that names what is wrong."""


class ConfigError(UserError):
    """A field of a configuration has a value that cannot work."""


class RawDataError(UserError):
    """A raw file is missing, damaged, or not what its name says."""


class DataSetError(UserError):
    """A prepared data set is missing, incomplete or damaged."""


class MissingDependencyError(UserError):
    """An optional part is not installed; the sentence says how to get it."""


class RunError(UserError):
    """A run cannot go on: its folder is damaged, taken by another process, or its loss is not finite."""


class Interrupted(RunError):
    """The run was asked to stop and has written a checkpoint; started again, it goes on from there."""


class LostRank(RunError):
    """Another rank of the run is gone; nothing is wrong with this one, so another try may well succeed."""


class LeaseLost(RunError):
    """A newer copy of this run has taken over its folder; this one must not write there any more."""


class Diverged(RunError):
    """The loss is not finite; the same run would go the same way again, so it is not tried again by itself."""


class LaunchError(UserError):
    """Jobs cannot be submitted or do not come back as they should."""


class TrackingError(UserError):
    """The MLflow store cannot be used as configured."""


def full_disk_sentence(error: BaseException) -> str | None:
    """What to tell a user whose disk (or quota) is full; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = f" while writing {error.filename}" if error.filename else ""
    return f"the disk is full{where}; free some space and run the same command again"


def _forbidden_sentence(error: OSError) -> str | None:
    """What to tell a user who may not read or write a file; None for any other error."""
    if error.filename is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
        return None
    return f"{error.filename} cannot be opened: {os.strerror(error.errno)}"


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Turn a user's error into one sentence on stderr and exit status 2; Ctrl-C: 130.

    A disk that is full and a file that the user may not open count among them.
    """
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        if not _nobody_reads_on():
            raise
        raise SystemExit(1) from None
    except OSError as error:
        sentence = full_disk_sentence(error) or _forbidden_sentence(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on", file=sys.stderr)
        raise SystemExit(130) from None


def _nobody_reads_on() -> bool:
    """Whether it was standard output that broke, as behind ``| head``; it leads nowhere afterwards."""
    # Asked of the pipe itself: with PYTHONUNBUFFERED there is nothing left that a flush could stumble over.
    ask = select.poll()
    ask.register(sys.stdout.fileno(), 0)
    broken = any(event & (select.POLLERR | select.POLLHUP) for _, event in ask.poll(0))
    if broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return broken
