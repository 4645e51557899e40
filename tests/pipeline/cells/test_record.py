"""What is read of a run without torch is what the run itself says."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from data_prep.errors import ConfigError
from pipeline.cells.folder import CellFolder
from pipeline.cells.record import RunRecord, incidental_fields
from pipeline.config import RunConfig, flat, to_json

ROOT = Path(__file__).parents[3]


def test_a_record_is_the_run_but_for_its_model(tmp_path: Path) -> None:
    run = RunConfig(seed=3)
    (tmp_path / "config.json").write_text(to_json(run))
    record = CellFolder(tmp_path).record()
    assert record is not None
    for entry in fields(RunRecord):
        if entry.name != "model":
            assert getattr(record, entry.name) == getattr(run, entry.name)
    assert record.last_step(1000) == run.last_step(1000)


def test_a_cell_whose_configuration_is_damaged_or_missing_has_no_record(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    assert cell.record() is None
    cell.config_file.write_text('{"training": {"epochs": ')
    assert cell.record() is None
    assert cell.last_step() is None


def test_a_configuration_of_any_version_is_read_and_changed_as_plain_values(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        cell.plain_config()
    for damaged, problem in (("{", "is not JSON"), ("[1]", "is not the configuration of a run")):
        cell.config_file.write_text(damaged)
        with pytest.raises(ConfigError, match=problem):
            cell.plain_config()
    cell.config_file.write_text('{"of another version": 1, "tracking": {"sweep": "old"}}')
    cell.write_plain_config(cell.plain_config() | {"tracking": {"sweep": "new"}})
    assert cell.plain_config() == {"of another version": 1, "tracking": {"sweep": "new"}}
    cell.config_file.write_text(to_json(RunConfig()))
    before = cell.config_file.stat()
    cell.write_plain_config(cell.plain_config())  # is the same text, and so not written
    assert cell.config_file.stat().st_ino == before.st_ino


def test_incidental_fields_are_fields_of_a_run_and_decide_nothing() -> None:
    incidental = set(incidental_fields())
    assert incidental <= flat(RunConfig()).keys()
    assert {"data.folder", "training.hang_seconds", "tracking.uri"} <= incidental
    assert not incidental & {"data.name", "training.epochs", "optimiser.betas", "seed"}


def test_cells_are_read_without_torch() -> None:
    modules = sorted(
        f"pipeline.cells.{file.stem}"
        for file in (ROOT / "pipeline" / "cells").glob("*.py")
        if file.stem != "__init__"
    )
    heavy = {"torch", "mlflow", "submitit", "sklearn"}
    code = f"""
import sys, {", ".join(modules)}
from pathlib import Path
from pipeline.cells.folder import CellFolder
CellFolder(Path()).record()
print(sorted({heavy} & sys.modules.keys()))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
