from __future__ import annotations

import json
from pathlib import Path

import pytest

from data_prep.errors import ConfigError
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Failure, Result
from pipeline.measures.plan import is_done, planned, unsettled
from pipeline.measures.settings import MeasuresConfig


@pytest.fixture
def cell(tmp_path: Path) -> CellFolder:
    (tmp_path / "config.json").write_text(
        json.dumps({"measures": {"take": ["likelihood", "swap_grid:images=3"], "split": "valid"}})
    )
    return CellFolder(tmp_path)


def names(cell: CellFolder, measures: MeasuresConfig | None = None) -> list[str]:
    return [entry.key.measure for entry in unsettled(cell, measures)]


def test_a_cell_is_done_once_all_that_it_names_has_a_result(cell: CellFolder) -> None:
    assert names(cell) == ["likelihood", "swap_grid"]
    first, second = unsettled(cell)
    Result(key=first.key).write(cell.folder)
    Failure(key=second.key, reason="out of memory").write(cell.folder)
    assert names(cell) == ["swap_grid"]
    Result(key=second.key, status="not_applicable", reason="no characteristics").write(cell.folder)
    assert names(cell) == []
    assert not is_done(cell)
    cell.mark_trained()
    assert is_done(cell)


def test_other_measures_and_splits_are_open_in_a_cell_that_is_done(cell: CellFolder) -> None:
    for entry in unsettled(cell):
        Result(key=entry.key).write(cell.folder)
    more = MeasuresConfig(take=("likelihood", "swap_grid", "classification"), split="valid")
    assert names(cell, more) == ["swap_grid", "classification"]
    assert names(cell, MeasuresConfig(take=("likelihood",), split="test")) == ["likelihood"]


def test_a_configuration_of_before_names_the_default_measures(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"measures": {"split": "test"}}))
    assert len(unsettled(CellFolder(tmp_path))) == len(planned(MeasuresConfig()))


@pytest.mark.parametrize("text", [None, "[", '{"measures": {"take": ["unknown"]}}'])
def test_a_cell_whose_measures_cannot_be_read_is_not_done(tmp_path: Path, text: str | None) -> None:
    cell = CellFolder(tmp_path)
    cell.mark_trained()
    if text is not None:
        cell.config_file.write_text(text)
    assert not is_done(cell)
    with pytest.raises(ConfigError):
        unsettled(cell)


def test_training_that_succeeds_takes_away_that_it_had_failed(cell: CellFolder) -> None:
    cell.give_up("the objective is nan")
    assert cell.failed() == "the objective is nan"
    cell.mark_trained()
    assert cell.failed() is None
    cell.mark_untrained()
    assert not cell.is_trained()
