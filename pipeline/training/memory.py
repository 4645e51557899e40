"""Memory that a step frees stays with the process, for the next step."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_ALL, _MOST_OF_OLDER_GLIBC = 1 << 30, 1 << 25


def keep_freed_memory() -> None:
    """Make glibc keep freed memory, up to 1 GiB at a time; no effect without glibc.

    By default it returns large blocks to the system, so that each step would have to fault in its activations again, page
    by page: up to a quarter of a step's time on a processor (``docs/speed.md``).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    if not mallopt(_M_MMAP_THRESHOLD, _ALL):
        mallopt(_M_MMAP_THRESHOLD, _MOST_OF_OLDER_GLIBC)
    mallopt(_M_TRIM_THRESHOLD, _ALL)
