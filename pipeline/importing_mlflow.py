"""MLflow is imported by one thread at a time.

Its modules import each other in circles. A thread that meets another one in such a circle goes on with half of a module:
``partially initialized module 'mlflow' has no attribute 'version'``, in the last second of a training.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import RLock

from data_prep.start_up import importing

_ALONE = RLock()


@contextmanager
def importing_mlflow() -> Iterator[None]:
    """Import MLflow in the block: no other thread does, and no garbage is collected."""
    with _ALONE, importing():
        yield
