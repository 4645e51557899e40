"""A run that is asked to stop does so at a step boundary, on all ranks together, behind a checkpoint.

The signal handler only sets a flag; the loop asks for it.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

STOP_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR2)


class StopRequest:
    """Set by a signal, read by the loop."""

    def __init__(self) -> None:
        self.asked = False

    def _ask(self, number: int, _frame: FrameType | None) -> None:
        if self.asked and number == signal.SIGINT:  # a second Ctrl-C does not wait for the checkpoint
            raise KeyboardInterrupt
        self.asked = True


@contextmanager
def listening_for_stop() -> Iterator[StopRequest]:
    """Catch SIGTERM, SIGINT and SIGUSR2 while the block runs, and put the former handlers back."""
    request = StopRequest()
    former = {number: signal.signal(number, request._ask) for number in STOP_SIGNALS}
    try:
        yield request
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
