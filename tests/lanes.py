"""Tests in lanes side by side (``make test``, which is ``pytest -n 2``): a plugin, named in ``tests/conftest.py``.

All that needs a SLURM is one lane's, which has the one cluster of the session, and waits for it most of the time. The other
lane takes the rest test by test, the slow ones first, so that none of them is left over for the end. Without ``-n`` nothing
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

_SLURM = re.compile(r"\bmark\.slurm\b|\bslurm_(cluster|installed)\b")
_WHOLE_FILE = "pytestmark"


class Lanes(LoadScopeScheduling):
    """Hands out the tests that need a SLURM as one piece of work, and every other one by itself.

    ``--dist loadgroup`` would do it, but pytest 9.2 with pytest-xdist 3.8 loses the groups without a word. The process that
    hands out knows of a test no more than its id, so whether it needs a SLURM is read in its file.
    """

    def _split_scope(self, nodeid: str) -> str:
        file, _, test = nodeid.partition("::")
        is_slurms = in_slurm_lane(self.config.rootpath / file, test.partition("[")[0])
        return "slurm" if is_slurms else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Lanes:
    return Lanes(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        marked = item.get_closest_marker("slurm") is not None
        needs_it = marked or "slurm_installed" in getattr(item, "fixturenames", ())
        if needs_it and not in_slurm_lane(item.path, item.name.partition("[")[0]):
            raise pytest.UsageError(
                f"{item.nodeid} needs a SLURM: it, or its whole file, must be marked slurm"
            )
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


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
