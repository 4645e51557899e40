from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from launch.former_cells import (
    former_results,
    has_former_form,
    in_present_form,
    is_former,
    withdraw_former_numbers,
)
from pipeline.cells.folder import CellFolder
from pipeline.config import RunConfig, from_json, to_json
from pipeline.measures.plan import unsettled
from pipeline.measures.settings import MeasuresConfig
from pipeline.models.registry import PRESETS
from pipeline.tracking import read_points

FORMER_MODELS: dict[str, dict[str, Any]] = json.loads(
    Path(__file__).with_name("former_models.json").read_text()
)
"""The section ``model`` of each preset, as the former code wrote it."""
NUMBERS = {
    "elbo": -527.0,
    "bits_per_dimension": 0.97,
    "measured_images": 200.0,
    "classified_labels": 180.0,
    "classification_accuracy": 0.245,
    "majority_baseline": 0.1,
    "balanced_accuracy": 0.24,
    "auroc": 0.84,
}


def former(model: dict[str, Any], split: str = "test") -> dict[str, Any]:
    said = json.loads(to_json(RunConfig()))
    del said["data"]["label_seed"]
    said["measures"] = {"split": split, "measure_batch_size": 250, "hang_seconds": 60.0}
    return said | {"model": model}


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "metrics.jsonl"
    lines = [
        {"kind": "train", "step": 24, "time_ms": 1000, "metrics": {"objective": -1.0}},
        {"kind": "test", "step": 24, "time_ms": 1_700_000_000_000, "metrics": NUMBERS},
    ]
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return file


@pytest.mark.parametrize("preset", FORMER_MODELS)
def test_each_former_preset_is_the_same_run_of_now(preset: str) -> None:
    said = former(FORMER_MODELS[preset])
    config = from_json(json.dumps(in_present_form(said, 0)))
    kept = FORMER_MODELS[preset] | {"system": config.model.system}
    if config.model.system == "ccvae":
        assert kept.pop("nearest_example_weight") == 0
    assert json.loads(to_json(config))["model"] | kept == json.loads(to_json(config))["model"]
    assert type(config.model) is type(PRESETS[preset].config())
    assert config.data.label_seed == 0
    assert said == former(FORMER_MODELS[preset])


def test_what_was_asked_of_measuring_stays_and_the_measures_are_those_of_now() -> None:
    config = from_json(json.dumps(in_present_form(former(FORMER_MODELS["m2"], "valid"), 3)))
    assert (config.measures.split, config.measures.measure_batch_size) == ("valid", 250)
    assert config.measures.take == RunConfig().measures.take
    assert config.data.label_seed == 3


def test_only_a_configuration_that_names_a_split_and_no_measures_is_former(tmp_path: Path) -> None:
    cell = CellFolder(tmp_path)
    assert not is_former(cell)
    cell.config_file.write_text(json.dumps(former(FORMER_MODELS["m2"])))
    assert is_former(cell)
    cell.config_file.write_text(to_json(RunConfig()))
    assert not is_former(cell)
    assert not any(map(has_former_form, ([], {}, {"measures": None}, {"measures": {"hang_seconds": 1.0}})))


def test_the_numbers_become_results_with_their_counts_and_time(log: Path) -> None:
    found = {
        result.key.measure: result for result in former_results(log, former(FORMER_MODELS["m2"], "valid"))
    }
    assert set(found) == {"classification", "likelihood"}
    accuracy = found["classification"].numbers["classification_accuracy"]
    assert (accuracy.value, accuracy.unit, accuracy.better, accuracy.count) == (0.245, "share", "higher", 180)
    assert found["likelihood"].numbers["elbo"].count == 200
    assert {result.key.split for result in found.values()} == {"valid"}
    assert found["likelihood"].time.startswith("2023-11-14T22:13:20")


def test_a_measure_that_gives_other_numbers_now_is_left_to_be_computed_again(
    log: Path, tmp_path: Path
) -> None:
    csvae = FORMER_MODELS["csvae"]
    found = former_results(log, former(csvae | {"hidden_labels": 0.0}))
    assert {result.key.measure: result.key.version for result in found} == {
        "classification": 1,
        "likelihood": 0,
    }
    for result in found:
        result.write(tmp_path)
    cell = CellFolder(tmp_path)
    both = MeasuresConfig(take=("classification", "likelihood"))
    assert [entry.key.measure for entry in unsettled(cell, both)] == ["classification", "likelihood"]
    assert {result.key.version for result in former_results(log, former(csvae | {"hidden_labels": 0.1}))} == {
        1
    }
    assert former_results(log.with_name("none.jsonl"), former(csvae)) == []


def test_numbers_of_another_split_are_withdrawn_from_those_of_the_test_split_once(log: Path) -> None:
    withdraw_former_numbers(log, "test")
    assert len(list(read_points(log))) == 2
    for _ in range(2):
        withdraw_former_numbers(log, "valid")
    *_, last = points = list(read_points(log))
    assert len(points) == 3
    assert (last.kind, last.step, set(last.metrics)) == ("test", 25, set(NUMBERS))
    assert all(value != value for value in last.metrics.values())
    assert {result.key.measure for result in former_results(log, former(FORMER_MODELS["m2"], "valid"))} == {
        "classification",
        "likelihood",
    }
