"""User errors: each is reported in one sentence, without a traceback.

Any other exception is a bug and keeps its traceback.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

from data_prep.program_name import as_called
from data_prep.standard_streams import open_closed_streams


class UserError(Exception):
    """Base of all errors that the user can fix; ``str(error)`` is one sentence that names what is wrong."""


class ConfigError(UserError):
    """A field of a configuration has a value that cannot work."""


class RawDataError(UserError):
    """A raw file is missing, damaged, or not what its name says."""


class DataSetError(UserError):
    """A prepared data set is missing, incomplete or damaged."""


class MissingDependencyError(UserError):
    """An optional dependency is not installed; the sentence says how to install it."""


class RunError(UserError):
    """A run cannot continue: its folder is damaged, used by another process, or its loss is not finite."""


class Interrupted(RunError):
    """The run was asked to stop and has written a checkpoint; run again, it resumes from there."""


class LostRank(RunError):
    """Another rank of the run is lost; nothing is wrong with this one, so another attempt may succeed."""


class LeaseLost(RunError):
    """A newer copy of this run has taken over its folder; this one must not write there anymore."""


class Diverged(RunError):
    """The loss is not finite; a repeated run would diverge again, so it is not retried automatically."""


class MeasuringError(RunError):
    """Some measures of a run failed; the others have their results, and only what failed is to be repeated."""


class LaunchError(UserError):
    """Jobs cannot be submitted, or do not return what they should."""


class TrackingError(UserError):
    """The MLflow store cannot be used as configured."""


def full_disk_sentence(error: BaseException) -> str | None:
    """The message for a full disk (or quota); None for any other error."""
    if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT):
        return None
    where = f" while writing {error.filename}" if error.filename else _raised_in(error)
    return f"the disk is full{where}; free some space and run the same command again"


def _raised_in(error: OSError) -> str:
    """The line of code that wrote to a file without a name in the error; empty if it was never raised."""
    frames = traceback.extract_tb(error.__traceback__)
    return f" ({frames[-1].filename}:{frames[-1].lineno} wrote to it)" if frames else ""


_IN_THE_WAY = {
    errno.ENOTDIR: "a part of this path is a file, not a folder",
    errno.EEXIST: "it is a file, not a folder",
    errno.EISDIR: "it is a folder, not a file",
    errno.ENAMETOOLONG: "the name is too long",
}


def _unusable_sentence(error: OSError) -> str | None:
    """The sentence for a place that cannot be read or written, by missing permission or its kind; None for other errors."""
    if error.filename is None or error.errno is None:
        return None
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"{error.filename} cannot be opened: {os.strerror(error.errno)}"
    if error.errno == errno.EEXIST and not os.path.isfile(error.filename):
        return None
    why = _IN_THE_WAY.get(error.errno)
    return None if why is None else f"{error.filename} cannot be used: {why}; name another place"


@contextmanager
def report_user_errors() -> Iterator[None]:
    """Turn a user error into one sentence on stderr and exit status 2; Ctrl-C: 130.

    A full disk, a file without permission, and a file where a folder should be count as user errors.
    """
    open_closed_streams()
    try:
        yield
        sys.stdout.flush()
    except UserError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        if not _stdout_is_broken():
            raise
        raise SystemExit(1) from None
    except OSError as error:
        sentence = full_disk_sentence(error) or _unusable_sentence(error)
        if sentence is None:
            raise
        print(f"error: {sentence}", file=sys.stderr)
        raise SystemExit(2) from None
    except KeyboardInterrupt as stop:
        print("interrupted; run the same command to resume", file=sys.stderr)
        raise SystemExit(status_of_a_stop(stop)) from None


def status_of_a_stop(stop: KeyboardInterrupt) -> int:
    """The exit status of a process that a signal stopped: 128 and its number, which the exception carries if not SIGINT."""
    return 128 + int(stop.args[0] if stop.args else signal.SIGINT)


def _stdout_is_broken() -> bool:
    """Whether standard output is the broken pipe, as with ``| head``; it is discarded afterwards."""
    # Checked on the pipe itself: with PYTHONUNBUFFERED nothing is left that a flush would fail on.
    ask = select.poll()
    ask.register(sys.stdout.fileno(), 0)
    broken = any(event & (select.POLLERR | select.POLLHUP) for _, event in ask.poll(0))
    if broken:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return broken
