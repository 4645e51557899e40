"""Tests in lanes next to each other (``make test``, which is ``pytest -n 4``): a plugin, named in ``tests/conftest.py``.

Half of the workers, rounded up, take what needs a SLURM: each has a cluster of its own for the session, and waits for it
most of the time. The others take the rest. Both begin with the tests that take longest (``slow(SECONDS)``), so that none of
them is left over for the end, and a worker for whom no test with a SLURM is left helps with the rest. Without ``-n`` nothing
changes.
"""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling
from xdist.workermanage import WorkerController

_SLURM = re.compile(r"\bmark\.slurm\b|\bslurm_(cluster|installed)\b")
_WHOLE_FILE = "pytestmark"

SLOW_SECONDS = 10.0
"""How long a test takes that is marked ``slow`` without a number."""


class Lanes(LoadScopeScheduling):
    """Hands out test by test, and those that need a SLURM to some of the workers only.

    The process that hands out knows of a test no more than its id, so whether it needs a SLURM is read in its file. The
    order is that of the collection, which the workers have sorted: those with a SLURM first.
    """

    def _split_scope(self, nodeid: str) -> str:
        return nodeid

    def _reschedule(self, node: WorkerController) -> None:
        """Keep one test ready for each worker next to the one that it runs: what it has, no other can take."""
        if node.shutting_down:
            return
        if self._next(node) is None:
            node.shutdown()
        elif self._pending_of(self.assigned_work[node]) < 2:
            self._assign_work_unit(node)

    def _assign_work_unit(self, node: WorkerController) -> None:
        test = self._next(node)
        if test is not None:
            self.workqueue.move_to_end(test, last=False)
            super()._assign_work_unit(node)

    def _next(self, node: WorkerController) -> str | None:
        """The test that a worker takes next; None where none of the remaining ones is for it."""
        has_cluster = node in self.nodes[: (self.numnodes + 1) // 2]
        return next((test for test in self.workqueue if has_cluster or not self._needs_slurm(test)), None)

    def _needs_slurm(self, nodeid: str) -> bool:
        file, _, test = nodeid.partition("::")
        return in_slurm_lane(self.config.rootpath / file, test.partition("[")[0])


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if _needs_slurm(item) and not in_slurm_lane(item.path, item.name.partition("[")[0]):
            raise pytest.UsageError(
                f"{item.nodeid} needs a SLURM: it, or its whole file, must be marked slurm"
            )
    items.sort(key=lambda item: (not _needs_slurm(item), -seconds(item)))


def seconds(item: pytest.Item) -> float:
    """About how long a test takes, as its mark says (``slow(120)``); 0 where it is not slow."""
    slow = item.get_closest_marker("slow")
    if slow is None:
        return 0.0
    return float(slow.args[0]) if slow.args else SLOW_SECONDS


def _needs_slurm(item: pytest.Item) -> bool:
    marked = item.get_closest_marker("slurm") is not None
    return marked or "slurm_installed" in getattr(item, "fixturenames", ())


def in_slurm_lane(file: Path, test: str) -> bool:
    """Whether a test function is marked ``slurm``, by itself or with its file, or takes the cluster by name."""
    return not _needing_slurm(file).isdisjoint((test, _WHOLE_FILE))


@cache
def _needing_slurm(file: Path) -> frozenset[str]:
    found = set()
    for node in ast.parse(file.read_bytes()).body:
        match node:
            case ast.FunctionDef(name=name, decorator_list=marks, args=arguments):
                said = [ast.unparse(part) for part in (*marks, arguments)]
            case ast.Assign(targets=[ast.Name(id="pytestmark")], value=marks):
                name, said = _WHOLE_FILE, [ast.unparse(marks)]
            case _:
                continue
        if _SLURM.search(" ".join(said)):
            found.add(name)
    return frozenset(found)
