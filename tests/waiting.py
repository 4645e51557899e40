"""Waiting for what other processes do."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_for(
    happened: Callable[[], object],
    bound_s: float = 120.0,
    story: Callable[[], str] = lambda: "",
    every_s: float = 0.1,
) -> float:
    """Wait for a condition; returns the seconds it took, and fails the test on timeout."""
    began = time.monotonic()
    while not happened():
        assert time.monotonic() - began < bound_s, f"not within {bound_s:.0f} s\n{story()}"
        time.sleep(every_s)
    return time.monotonic() - began
