"""Measures of one cell: what fails, hangs or is killed costs only itself, and nothing is trained for any of it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import ConfigError, MeasuringError, RunError
from jobs.evaluate import evaluate_cell
from jobs.outcome import Outcome, next_action
from jobs.train import train_cell
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.measurements import failures, results
from pipeline.measures.classification import Classification
from pipeline.measures.measure import Measured
from pipeline.measures.plan import is_done
from tests.pipeline.runs import small_cell, small_run

TAKE = ("classification", "likelihood", "reconstruction_grid")


@pytest.fixture
def cell(tiny_data_set: Path, tmp_path: Path) -> Cell:
    """Trained, and to be measured by three measures."""
    config = small_run(tiny_data_set, epochs=1)
    cell = small_cell(tmp_path, replace(config, measures=replace(config.measures, take=TAKE)))
    train_cell(cell.config_file)
    return cell


def measured(cell: Cell) -> list[str]:
    return sorted(f"{result.key.measure} {result.key.split}" for result in results(cell.folder))


def stamps(cell: Cell) -> dict[Path, int]:
    """When each file but the logs was written."""
    files = (path for path in cell.folder.rglob("*") if path.is_file())
    return {path: path.stat().st_mtime_ns for path in files if path.parent.name != "log"}


@pytest.fixture
def out_of_memory(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Classification raises, until it is undone."""

    def fails(measure: Classification, view: Any) -> Measured:
        raise RuntimeError("CUDA out of memory")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Classification, "__call__", fails)
        yield patch


def test_a_measure_that_fails_costs_only_itself_and_alone_is_repeated(
    cell: Cell, out_of_memory: pytest.MonkeyPatch
) -> None:
    with pytest.raises(MeasuringError) as error:
        evaluate_cell(cell.config_file)
    sentence = str(error.value)
    assert sentence.startswith("1 of 3 measures failed: classification: RuntimeError: CUDA out of memory (")
    said = Outcome.read(cell.folder)
    assert said is not None
    assert (said.outcome, said.sentence) == ("failed", sentence)
    assert next_action(cell, "evaluate", Attempt.here(), retries=3) == "give_up"
    assert cell.failed() == sentence
    assert measured(cell) == ["likelihood test", "reconstruction_grid test"]
    assert "Traceback" in cell.log_file("evaluate", 0).read_text()
    assert not is_done(cell)
    before = stamps(cell)

    out_of_memory.undo()
    assert "classification_accuracy" in evaluate_cell(cell.config_file)
    assert is_done(cell)
    assert cell.failed() is None
    assert not failures(cell.folder)
    after = stamps(cell)
    kept = [
        path
        for path in before
        if path.name not in ("lease.json", "lock", "failure.json", "FAILED", "outcome.json")
    ]
    assert all(after[path] == before[path] for path in kept)


def test_other_measures_and_splits_are_taken_of_a_cell_that_is_done(cell: Cell) -> None:
    evaluate_cell(cell.config_file)
    before = stamps(cell)
    found = evaluate_cell(
        cell.config_file, take=("likelihood", "reconstruction_grid:images=3"), split="train"
    )
    assert found.keys() == {"elbo", "measured_images"}
    assert measured(cell) == sorted(
        [*(f"{name} test" for name in TAKE), "likelihood train", "reconstruction_grid train"]
    )
    assert (cell.figures / "train" / "reconstructions-images_3.png").is_file()
    assert all(
        stamps(cell)[path] == before[path] for path in before if path.name not in ("lease.json", "lock")
    )
    again = evaluate_cell(cell.config_file, take=("likelihood",), split="train")
    assert again["elbo"] == found["elbo"]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"split": "tset"}, "idx_folder has no split tset; there are: train, test"),
        ({"take": ("likelyhood",)}, "there is no measure 'likelyhood'; did you mean likelihood?"),
    ],
)
def test_what_cannot_be_measured_is_one_sentence(cell: Cell, asked: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        evaluate_cell(cell.config_file, **asked)
    assert str(error.value) == sentence
    assert not results(cell.folder)


def test_a_cell_whose_last_checkpoint_was_damaged_is_trained_again_from_the_one_before(cell: Cell) -> None:
    newest = max(cell.checkpoints.glob("step-*.pt"))
    newest.write_bytes(newest.read_bytes()[:-100])
    with pytest.raises(RunError, match=r"the last checkpoint of .* is lost or damaged: .*; train it again"):
        evaluate_cell(cell.config_file)
    assert not cell.is_trained()
    train_cell(cell.config_file)
    assert "elbo" in evaluate_cell(cell.config_file)


KILLED = """
import os, signal, sys
from pathlib import Path
from jobs.run import run_unit
from pipeline.measures.classification import Classification

def dies(measure, view):
    next(view.examples.images())
    os.kill(os.getpid(), signal.SIGKILL)

Classification.__call__ = dies
run_unit("evaluate", Path(sys.argv[1]))
"""


def test_a_measure_in_which_the_process_is_killed_comes_after_the_others(cell: Cell) -> None:
    def attempt() -> str:
        command = [sys.executable, "-c", KILLED, str(cell.config_file)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=250)
        assert ended.returncode == -9, ended.stderr
        return next_action(cell, "evaluate", Attempt.here(), retries=2)

    assert attempt() == "again"
    assert measured(cell) == []  # it was the first
    assert attempt() == "again"
    assert measured(cell) == ["likelihood test", "reconstruction_grid test"]
    assert attempt() == "give_up"
    assert "given up after 3 attempts" in (cell.failed() or "")
    assert "classification_accuracy" in evaluate_cell(cell.config_file)  # mended, and started again
    assert is_done(cell)
    assert cell.failed() is None


def test_figures_are_drawn_again_from_disk(cell: Cell) -> None:
    evaluate_cell(cell.config_file)
    figure = cell.figures / "reconstructions.png"
    before = figure.read_bytes()
    figure.unlink()
    command = [sys.executable, "-m", "jobs.draw", "--config", str(cell.config_file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert ended.stdout.split() == [str(figure)]
    assert figure.read_bytes() == before


def test_the_command_takes_measures_and_a_split(cell: Cell) -> None:
    command = [sys.executable, "-m", "jobs.evaluate", "--config", str(cell.config_file)]
    options = ["--measures", "likelihood", "reconstruction_grid:images=2", "--split", "train"]
    ended = subprocess.run([*command, *options], capture_output=True, text=True, timeout=250)
    assert ended.returncode == 0, ended.stderr
    assert measured(cell) == ["likelihood train", "reconstruction_grid train"]
    wrong = subprocess.run([*command, "--measures", "x"], capture_output=True, text=True, timeout=250)
    assert wrong.returncode == 2
    assert wrong.stderr.strip().splitlines()[-1].startswith("error: there is no measure 'x'; there are: ")
