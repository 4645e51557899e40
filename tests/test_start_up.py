"""What starts in every job and on every command line is quick: what takes seconds to import waits until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch._dynamo", "torch._inductor", "mlflow", "sklearn", "matplotlib")
STARTED = """
import gc, runpy, sys
sys.argv = [sys.argv[1], "--help"]
try:
    runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
except SystemExit:
    print([name for name in {heavy} if name in sys.modules], gc.isenabled(), gc.get_freeze_count() > 100_000)
"""


@pytest.mark.parametrize("module", ["jobs.train", "jobs.evaluate", "launch.sweep", "launch.measure"])
def test_a_program_imports_nothing_heavy_but_torch_and_collects_garbage_afterwards(module: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", STARTED.format(heavy=HEAVY), module],
        check=True,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.splitlines()[-1] == "[] True True"
