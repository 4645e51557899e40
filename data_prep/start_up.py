"""Imports without garbage collection, which scans what is imported again and again: a quarter of a start.

The files that are started as programs begin with ``gc.disable()`` and call :func:`imports_are_done` before they do anything.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

_counting = Lock()
_blocks, _enabled = 0, True
"""How many blocks import now, and whether garbage was collected before the first of them."""


def imports_are_done() -> None:
    """Collect garbage from now on, but never look at what is there already: it stays until the process ends."""
    gc.freeze()
    gc.enable()


@contextmanager
def importing() -> Iterator[None]:
    """Collect no garbage while the block imports; several threads may do so at once, and the last one turns it on again."""
    global _blocks, _enabled
    with _counting:
        if _blocks == 0:
            _enabled = gc.isenabled()
            gc.disable()
        _blocks += 1
    try:
        yield
    finally:
        with _counting:
            _blocks -= 1
            if _blocks == 0 and _enabled:
                gc.enable()
