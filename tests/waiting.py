"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(
    happened: Callable[[], object],
    bound_s: float = 120.0,
    story: Callable[[], str] = lambda: "",
    every_s: float | None = None,
) -> float:
    """Wait for a condition; returns the seconds it took, and fails the test on timeout.

    Without ``every_s``, looking takes at most a twentieth of a processor: what is waited for needs it itself.
    """
    began, looked = time.monotonic(), time.process_time()
    while not happened():
        took = time.process_time() - looked
        assert time.monotonic() - began < bound_s, f"not within {bound_s:.0f} s\n{story()}"
        time.sleep(max(0.2, 19 * took) if every_s is None else every_s)
        looked = time.process_time()
    return time.monotonic() - began
