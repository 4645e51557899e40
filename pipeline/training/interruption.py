"""A run that is asked to stop does so at a step boundary, on all ranks together, after a checkpoint.

The signal handler only sets a flag, which the loop polls. A unit installs it on its first line, so signals that arrive
while torch is imported are not lost.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from data_prep.errors import Interrupted

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2, signal.SIGHUP)


class StopRequest:
    """Set by a signal, read by the loop."""

    def __init__(self) -> None:
        self.requested = False
        self._sentence: str | None = None

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.requested and number == signal.SIGINT:  # a second Ctrl-C does not wait for the checkpoint
            raise KeyboardInterrupt
        self.requested = True
        if self._sentence is not None:
            raise Interrupted(self._sentence)

    @contextmanager
    def ends_at_once(self, sentence: str) -> Iterator[None]:
        """Raise Interrupted with this sentence as soon as the block is asked to stop: for work without checkpoints."""
        self._sentence = sentence
        try:
            if self.requested:
                raise Interrupted(sentence)
            yield
        finally:
            self._sentence = None


_listening: StopRequest | None = None


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Catch SIGTERM, SIGINT, SIGUSR2 and SIGHUP while the block runs, then restore the previous handlers.

    Where a closed terminal is ignored (``nohup``, and ranks whose launcher tells them), it stays ignored. Inside another
    such block it is the same request. (Outside the main thread, Python has no signals.)
    """
    global _listening
    if _listening is not None or threading.current_thread() is not threading.main_thread():
        yield _listening or StopRequest()
        return
    _listening = request = StopRequest()
    caught = [
        number
        for number in STOP_SIGNALS
        if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN
    ]
    former = {number: signal.signal(number, request._ask) for number in caught}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        _listening = None
