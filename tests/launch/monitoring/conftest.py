from __future__ import annotations

from pathlib import Path

import pytest

from tests.launch.monitoring.sweeps import NAME


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def sweep(runs) -> Path:
    return runs / NAME
