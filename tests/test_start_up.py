"""What starts in every job and on every command line is quick: what takes seconds to import waits until it is used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch._dynamo", "torch._inductor", "mlflow", "sklearn")


@pytest.mark.parametrize("module", ["jobs.train", "jobs.evaluate", "launch.sweep", "launch.measure"])
def test_starting_a_process_imports_nothing_heavy_but_torch(module: str) -> None:
    asked = f"import {module}, sys; print([name for name in {HEAVY} if name in sys.modules])"
    ended = subprocess.run(
        [sys.executable, "-c", asked], check=True, cwd=ROOT, capture_output=True, text=True
    )
    assert ended.stdout.strip() == "[]"
