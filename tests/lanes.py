"""Tests in lanes next to each other (``make test``, which is ``pytest -n 4``): a plugin, named in ``tests/conftest.py``.

Three quarters of the workers take what needs a SLURM: each has a cluster of its own for the session, and waits for it most
of the time. The others take the rest: slow tests one by one, the quick ones of a file together, for they share what is made
for them. Both begin with what takes longest (``slow(SECONDS)``, then files with many tests), so that none of it is left over
for the end, and a worker for whom no test with a SLURM is left helps with the rest. Without ``-n`` nothing changes.
"""

from __future__ import annotations

import ast
import fcntl
import re
from collections import Counter
from collections.abc import Generator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_SLURM = re.compile(r"\bmark\.slurm\b|\bslurm_(cluster|installed)\b")
_SLOW = re.compile(r"\bmark\.slow\b")
_WHOLE_FILE = "pytestmark"

SLOW_SECONDS = 10.0
"""Assumed duration of a test marked ``slow`` without a number."""


class Lanes(LoadScopeScheduling):
    """Distributes tests, those that need a SLURM to some of the workers only.

    The process that hands out knows of a test no more than its id, so what it is marked with is read in its file. The order
    is that of the collection, which the workers have sorted.
    """

    def __init__(self, config: pytest.Config, log: Any = None) -> None:
        super().__init__(config, log)
        config.option.loadscopereorder = False

    def _split_scope(self, nodeid: str) -> str:
        file, _, _ = nodeid.partition("::")
        alone = self._needs_slurm(nodeid) or is_slow(self.config.rootpath / file, _function(nodeid))
        return nodeid if alone else file

    def _reschedule(self, node: WorkerController) -> None:
        """Keep one test ready for each worker next to the one that it runs: what it has, no other can take."""
        if (
            node.shutting_down or node not in self.registered_collections
        ):  # one that crashed, or its substitute
            return
        if self._next(node) is None:
            node.shutdown()
        elif self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        unit = self._next(node)
        if unit is not None:
            self.workqueue.move_to_end(unit, last=False)
            super()._assign_work_unit(node)

    def _next(self, node: WorkerController) -> str | None:
        """The next test of a worker; None if no remaining test is for it."""
        has_cluster = node in self.nodes[: max(1, 3 * self.numnodes // 4)]
        return next((unit for unit in self.workqueue if has_cluster or not self._needs_slurm(unit)), None)

    def _needs_slurm(self, unit: str) -> bool:
        file, _, test = unit.partition("::")
        return bool(test) and in_slurm_lane(self.config.rootpath / file, _function(unit))


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """The first worker collects before the others, which load what it has compiled: half of the time of a collection."""
    with Path(__file__).open() as own:
        try:
            fcntl.flock(own, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            fcntl.flock(own, fcntl.LOCK_SH)
        return (yield)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if _needs_slurm(item) and not in_slurm_lane(item.path, _function(item.nodeid)):
            raise pytest.UsageError(
                f"{item.nodeid} needs a SLURM: it, or its whole file, must be marked slurm"
            )
    tests = Counter(item.path for item in items)
    items.sort(key=lambda item: (not _needs_slurm(item), -seconds(item), -tests[item.path], item.path))


def seconds(item: pytest.Item) -> float:
    """Approximate duration of a test from its mark (``slow(120)``); 0 if it is not slow."""
    slow = item.get_closest_marker("slow")
    if slow is None:
        return 0.0
    return float(slow.args[0]) if slow.args else SLOW_SECONDS


def _needs_slurm(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("slurm") is not None
    return marked or "slurm_installed" in getattr(item, "fixturenames", ())


def in_slurm_lane(file: Path, test: str) -> bool:
    """Whether a test function or its file is marked ``slurm``, or it uses the cluster fixture."""
    return any(_SLURM.search(said) for said in _said_of(file, test))


def is_slow(file: Path, test: str) -> bool:
    """Whether a test function or its file is marked ``slow``."""
    return any(_SLOW.search(said) for said in _said_of(file, test))


def _function(nodeid: str) -> str:
    return nodeid.partition("::")[2].partition("[")[0]


def _said_of(file: Path, test: str) -> list[str]:
    """The source of what decorates a test function, of its arguments, and of the marks of the whole file."""
    there = _said_in(file)
    return [there[name] for name in (test, _WHOLE_FILE) if name in there]


@cache
def _said_in(file: Path) -> dict[str, str]:
    found = {}
    for node in ast.parse(file.read_bytes()).body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=marks, args=arguments):
                found[name] = " ".join(ast.unparse(part) for part in (*marks, arguments))
            case ast.Assign(targets=[ast.Name(id="pytestmark")], value=marks):
                found[_WHOLE_FILE] = ast.unparse(marks)
    return found
