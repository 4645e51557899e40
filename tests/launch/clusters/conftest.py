from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    return tmp_path / "a sweep; echo 'x'"


@pytest.fixture
def store(tmp_path: Path) -> str:
    (tmp_path / "mlflow.db").touch()
    return f"sqlite:///{tmp_path / 'mlflow.db'}"
