"""Settings of all tests: few threads, a separate tracking store, and checked shapes."""

from __future__ import annotations

import gc
import os
import signal
import sys
from collections.abc import Generator
from pathlib import Path

# The ranks of a distributed test share few cores. Set before torch is imported, and inherited by child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Nor does each of the hundreds of processes that tests start compile our code anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# A test must not write into the store of whoever runs it.
os.environ.pop("MLFLOW_TRACKING_URI", None)
# Nor does it depend on the width of the terminal, which a lane's process also inherits.
os.environ.pop("COLUMNS", None)

import pytest
from hypothesis import settings

from tests.checked_types import check_types

# A shell that starts us in the background makes us, and so all our children, ignore Ctrl-C.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Nor does each worker compile the tests anew (``tests/lanes.py``), even if the shell asks Python for that.
sys.dont_write_bytecode = False

# No test asserts a time, nor does hypothesis of an example. Its examples are few: two cores run everything.
settings.register_profile("untimed", deadline=None, max_examples=50)
settings.load_profile("untimed")

check_types()

pytest_plugins = ["tests.lanes", "tests.cluster.fixture", "tests.data_prep.fixtures"]


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Exclude imported and collected objects from garbage collection: scanning them takes a seventh of the time."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.fixture(scope="session")
def session_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this session that all its workers share (``tests/lanes.py``)."""
    own = tmp_path_factory.getbasetemp()
    return own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
