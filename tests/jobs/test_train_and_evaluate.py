from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import ConfigError, RunError, UserError
from data_prep.lock import exclusive_lock
from jobs.evaluate import evaluate_cell
from jobs.train import train_cell
from pipeline.config import to_json
from pipeline.measures.plan import is_done
from tests.pipeline.runs import TORCHRUN, small_cell, small_run, start_ranks


@pytest.mark.parametrize("system", ["ccvae", "m2"])
def test_a_cell_is_trained_measured_and_then_left_alone(tiny_data_set: Path, tmp_path: Path, system: str):
    cell = small_cell(tmp_path, small_run(tiny_data_set, system=system, rate=1.0, epochs=40))
    train_cell(cell.config_file)
    assert not is_done(cell)
    numbers = evaluate_cell(cell.config_file)
    assert is_done(cell)
    assert (
        numbers["classification_accuracy"] > 0.8 > numbers["majority_baseline"] + 0.6
    )  # the spots are learnable
    assert numbers["classified_labels"] == numbers["measured_images"] == 200
    assert (cell.figures / "reconstructions.png").read_bytes().startswith(b"\x89PNG")
    before = {path: path.stat().st_mtime_ns for path in cell.folder.rglob("*") if path.parent.name != "log"}
    train_cell(cell.config_file)
    assert evaluate_cell(cell.config_file) == numbers
    assert before == {path: path.stat().st_mtime_ns for path in before}


def test_an_untrained_cell_is_not_measured(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set))
    with pytest.raises(RunError, match="not trained yet: it has no checkpoint of 48"):
        evaluate_cell(cell.config_file)
    assert not is_done(cell)


def test_a_cell_that_another_process_holds_is_refused(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set))
    with (
        exclusive_lock(cell.folder / "lock", lambda: None),
        pytest.raises(RunError, match="another process is running"),
    ):
        train_cell(cell.config_file)
    assert not list(cell.folder.glob("checkpoints/*"))


def test_errors_are_written_to_the_log_of_the_cell(tiny_data_set: Path, tmp_path: Path):
    config = small_run(tiny_data_set)
    cell = small_cell(tmp_path, replace(config, data=replace(config.data, name="mnist")))
    with pytest.raises(ConfigError, match="holds idx_folder, but the run needs mnist"):
        train_cell(cell.config_file)
    assert (
        "holds idx_folder, but the run needs mnist" in (cell.folder / "log" / "train-rank0.txt").read_text()
    )


def test_a_run_without_the_split_of_its_measures_is_refused_before_it_is_trained(
    tiny_data_set: Path, tmp_path: Path
):
    config = small_run(tiny_data_set)
    cell = small_cell(tmp_path, replace(config, measures=replace(config.measures, split="valid")))
    with pytest.raises(
        ConfigError, match=r"no split valid, .* there are: train, test; measure it .* --split"
    ):
        train_cell(cell.config_file)
    assert not list(cell.folder.glob("checkpoints/*"))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('"epochs": 4', '"epochs": "many"'), "training.epochs: Input should be a valid integer"),
        (('"seed": 0', '"sead": 0'), "unknown field sead"),
        (('"style_size": 0', '"style_size": -1'), "style_size is -1; it must not be negative"),
        (("{", "["), "is not JSON"),
        (('"ranks": 1', '"ranks": 2'), "configured for 2 ranks, but 1 process"),
    ],
)
def test_a_bad_config_is_reported_in_one_sentence(tiny_data_set: Path, tmp_path: Path, change, sentence: str):
    with pytest.raises(UserError, match=sentence):
        train_cell(bad_config(tiny_data_set, tmp_path, change))


def test_a_user_error_is_the_last_line_and_status_2(tiny_data_set: Path, tmp_path: Path):
    config_file = bad_config(tiny_data_set, tmp_path, ('"seed": 0', '"sead": 0'))
    command = [sys.executable, "-m", "jobs.train", "--config", str(config_file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=250)
    assert ended.returncode == 2
    last = ended.stderr.strip().splitlines()[-1]
    assert last.startswith("error: ")
    assert "unknown field sead" in last
    assert "Traceback" not in ended.stderr


def bad_config(data_set: Path, folder: Path, change: tuple[str, str]) -> Path:
    """A configuration whose text was changed in one place."""
    text = to_json(small_run(data_set))
    assert change[0] in text
    (folder / "config.json").write_text(text.replace(*change, 1))
    return folder / "config.json"


@pytest.mark.slow
def test_torchrun_trains_the_same_unit(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set, ranks=2, epochs=2))
    assert start_ranks(cell, 2, TORCHRUN).wait(timeout=300) == 0, (cell.folder / "ranks.txt").read_text()
    assert cell.is_trained()
    assert "epoch 2 of 2" in (cell.folder / "log" / "train-rank1.txt").read_text()


@pytest.mark.slow(40)
def test_faster_settings_train_to_about_the_same_bound(tiny_data_set: Path, tmp_path: Path):
    """Of a VAE, whose step is compiled soonest."""
    bounds = []
    changes: list[dict[str, Any]] = [{}, {"precision": "bfloat16"}, {"compile": True}]
    for settings in changes:
        cell = small_cell(tmp_path, small_run(tiny_data_set, system="vae", epochs=3, **settings))
        if "compile" in settings:  # the shape checks of the tests cannot be compiled
            command = [sys.executable, "-m", "jobs.train", "--config", str(cell.config_file)]
            ended = subprocess.run(command, capture_output=True, text=True, timeout=250)
            assert ended.returncode == 0, ended.stderr
        else:
            train_cell(cell.config_file)
        bounds.append(evaluate_cell(cell.config_file)["elbo"])
    assert bounds[1:] == pytest.approx([bounds[0]] * 2, rel=0.03)
