"""Ends a rank that hangs, by a thread outside Python, which first writes the stacks of all its threads.

A collective whose other side hangs waits too, so a hang anywhere ends all ranks, each with its stacks in its log.
"""

from __future__ import annotations

import faulthandler
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

LONGEST_BETWEEN_SIGNS_S = 1.0
SECONDS_TO_START = 600.0
"""Minimum time until the first heartbeat: the first step imports and compiles."""


class Heartbeat:
    """Called at each step: postpones the end of this process, about once a second."""

    def __init__(self, seconds: float, file: BinaryIO) -> None:
        self._seconds, self._file = seconds, file
        self._every = min(LONGEST_BETWEEN_SIGNS_S, seconds / 10)
        faulthandler.dump_traceback_later(max(seconds, SECONDS_TO_START), exit=True, file=file)
        self._armed = -math.inf

    def __call__(self) -> None:
        now = time.monotonic()
        if now - self._armed > self._every:
            faulthandler.dump_traceback_later(self._seconds, exit=True, file=self._file)
            self._armed = now


def unwatched() -> None:
    """In place of a ``Heartbeat``, for work without a watchdog."""


@contextmanager
def watching_for_hangs(seconds: float, log_file: Path) -> Iterator[Heartbeat]:
    """End this process with status 1 if the block gives no heartbeat for ``seconds``, with its stacks in ``log_file``."""
    log_file.parent.mkdir(parents=True, exist_ok=True)
    with log_file.open("ab") as file:
        try:
            yield Heartbeat(seconds, file)
        finally:
            faulthandler.cancel_dump_traceback_later()
