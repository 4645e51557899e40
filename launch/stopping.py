"""SIGTERM (``kill``, a service manager, a batch system) and SIGHUP (a closed terminal) stop a launcher as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _Requests:
    """The signals that this process has had, and whether they wait for a moment."""

    def __init__(self) -> None:
        self.held = False
        self._waiting: int | None = None
        self._seen = False

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise KeyboardInterrupt with the signal's number.

        A closed terminal may be told twice, by the system and by the shell: only another signal asks to stop at once.
        """
        if number == signal.SIGHUP:
            _discard_output_to_a_closed_terminal()
            if self._seen:
                return
        self._seen = True
        if self.held:
            self._waiting = number
            return
        raise KeyboardInterrupt(number)

    def raise_waiting(self) -> None:
        number, self._waiting = self._waiting, None
        if number is not None:
            raise KeyboardInterrupt(number)


_requests: _Requests | None = None


@contextmanager
def stopping_as_with_ctrl_c() -> Iterator[None]:
    """In the block, SIGTERM and SIGHUP raise KeyboardInterrupt; a signal that is ignored (``nohup``) stays ignored.

    Inside another such block, and outside the main thread, nothing changes.
    """
    global _requests
    if _requests is not None or threading.current_thread() is not threading.main_thread():
        yield
        return
    _requests = requests = _Requests()
    former = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    for number, handler in former.items():
        if handler is not signal.SIG_IGN:
            signal.signal(number, requests.handle)
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        _requests = None


@contextmanager
def holding_signals_back() -> Iterator[None]:
    """A signal in the block is raised at its end: a process that was just started must be entered in a list first."""
    if _requests is None:
        yield
        return
    _requests.held = True
    try:
        yield
    finally:
        _requests.held = False
    _requests.raise_waiting()


def _discard_output_to_a_closed_terminal() -> None:
    """Send standard output and error nowhere if they went to a terminal that is gone: each write would fail."""
    for descriptor in (1, 2):
        try:
            if stat.S_ISCHR(os.fstat(descriptor).st_mode):
                os.write(descriptor, b"")  # fails on a terminal that was hung up
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
