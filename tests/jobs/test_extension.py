"""More epochs for a finished run: the longer one continues it, bit for bit."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from jobs.train import train_cell
from pipeline.cell import Cell
from pipeline.cells.checkpoint_markers import newest_step
from pipeline.config import RunConfig
from pipeline.tracking.metric_log import Point, decode
from pipeline.training.checkpoint import load_newest
from tests.pipeline.runs import small_cell, small_run


def trained(sweep: Path, config: RunConfig) -> Cell:
    cell = small_cell(sweep, config)
    train_cell(cell.config_file)
    return cell


def points(cell: Cell) -> list[tuple[str, int, dict[str, float]]]:
    """What was logged of training, without times."""
    lines = (cell.folder / "metrics.jsonl").read_bytes().splitlines()
    found = [point for point in map(decode, lines) if isinstance(point, Point)]
    return [(point.kind, point.step, point.metrics) for point in found if point.kind == "train"]


def said(cell: Cell) -> str:
    return cell.log_file("train", 0).read_text()


def test_a_run_with_more_epochs_continues_the_finished_one_bit_for_bit(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    run = small_run(tiny_data_set)
    longer = replace(run, training=replace(run.training, epochs=run.training.epochs + 2))
    alone = trained(tmp_path / "alone", longer)
    trained(tmp_path / "sweep", replace(run, seed=1))  # another run is never continued
    short = trained(tmp_path / "sweep", run)
    before = {file: file.read_bytes() for file in short.folder.rglob("*") if file.is_file()}
    extended = trained(tmp_path / "sweep", longer)
    assert f"begins after epoch {run.training.epochs}, where {short.name} ended" in said(extended)
    assert f"resuming from step {newest_step(short.checkpoints)} of" in said(extended)
    assert "begins after" not in said(alone)
    states = [load_newest(cell.checkpoints, torch.device("cpu")) for cell in (alone, extended)]
    torch.testing.assert_close(*states, rtol=0, atol=0)
    assert points(alone) == points(extended)
    assert before == {file: file.read_bytes() for file in before}


def test_a_learning_rate_that_depends_on_the_number_of_epochs_is_not_continued(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    run = small_run(tiny_data_set, epochs=1)
    run = replace(run, optimiser=replace(run.optimiser, schedule="one_cycle"))
    trained(tmp_path, run)
    extended = trained(tmp_path, replace(run, training=replace(run.training, epochs=2)))
    assert "begins after" not in said(extended)
    assert "resuming" not in said(extended)
