"""Imports without garbage collection, which scans what is imported again and again: a quarter of a start.

The files that are started as programs begin with ``gc.disable()`` and call :func:`imports_are_done` before they do anything.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def imports_are_done() -> None:
    """Collect garbage from now on, but never look at what is there already: it stays until the process ends."""
    gc.freeze()
    gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while the block imports; several threads may do so at once."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
