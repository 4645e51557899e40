"""The undisturbed reference run, and the comparison of other runs with it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from mlflow import MlflowClient
from mlflow.entities import Run

from pipeline.cell import Cell
from pipeline.cells.measurements import results
from pipeline.config import RunConfig
from pipeline.measures.plan import is_done
from pipeline.tracking import TrackingSettings, read_points
from pipeline.tracking.state import UploadState
from pipeline.tracking.store import connect
from tests.pipeline.runs import assert_bitwise_equal, final_parameters, small_cell, start_ranks
from tests.waiting import wait_for

Values = dict[tuple[str, int], float]
"""By MLflow's name of the metric and step."""

NEVER_ALIKE = ("epoch/images_per_second",)
"""What no two runs have in common."""


@dataclass(frozen=True)
class Reference:
    """An undisturbed run."""

    parameters: dict[str, torch.Tensor]
    """Parameters and Adam's moments after the last step."""
    values: Values
    """All that it logged while it trained."""


def undisturbed(config: RunConfig, data_set: Path, folder: Path) -> Reference:
    """Train a run on this machine, without SLURM and MLflow, unless the folder has it already."""
    config = replace(
        config,
        data=replace(config.data, folder=str(data_set)),
        tracking=TrackingSettings(enabled=False),
    )
    cell = small_cell(folder, config)
    if not cell.is_trained():
        status = start_ranks(cell, config.training.ranks).wait(timeout=600)
        assert status == 0, (cell.folder / "ranks.txt").read_text()[-3000:]
    return Reference(final_parameters(cell.checkpoints), logged(cell))


def logged(cell: Cell) -> Values:
    """The content of a cell's ``metrics.jsonl``; fails if a metric has two values at a step."""
    pairs = [
        ((name, point.step), value)
        for point in read_points(cell.folder / "metrics.jsonl")
        for name, value in point.named().items()
    ]
    return without_doubles(pairs)


def measured(cell: Cell) -> Values:
    """What MLflow has of the results of a cell's measures, after its last step; fails where there is none."""
    numbers = [
        ((f"{result.key.split}/{name}", cell.last_step() or 0), number.value)
        for result in results(cell.folder)
        for name, number in result.numbers.items()
    ]
    assert numbers
    return without_doubles(numbers)


def in_store(client: MlflowClient, run: Run) -> Values:
    """The content of the store for a run; fails if a metric has two values at a step."""
    pairs = [
        ((name, metric.step), metric.value)
        for name in run.data.metrics
        for metric in client.get_metric_history(run.info.run_id, name)
    ]
    return without_doubles(pairs)


def without_doubles(pairs: list[tuple[tuple[str, int], float]]) -> Values:
    doubled = [point for point, count in Counter(point for point, _ in pairs).items() if count > 1]
    assert not doubled
    return dict(pairs)


def assert_same_run(cell: Cell, reference: Reference, store: str) -> None:
    """Fail unless the cell is done and equals the undisturbed run, locally and in MLflow."""
    assert is_done(cell)
    assert_bitwise_equal(final_parameters(cell.checkpoints), reference.parameters)
    client = connect(store)

    def state() -> UploadState:
        loaded = UploadState.load(cell.folder)
        assert loaded is not None
        return loaded

    # The results of the last measure are there a moment before its process has mirrored them and ended.
    wait_for(lambda: (run_id := state().run_id) and client.get_run(run_id).info.status == "FINISHED")
    found = logged(cell)
    assert_same_values(found, reference.values)
    experiment = client.get_experiment_by_name(state().experiment)
    assert experiment is not None
    own = f"tags.cell = '{cell.name}' and tags.sweep = '{cell.folder.parent.name}'"
    (run,) = client.search_runs([experiment.experiment_id], own)
    assert (run.info.run_id, run.info.status) == (state().run_id, "FINISHED")
    there = in_store(client, run)
    assert there == found | measured(cell)  # the samples of the machine are among them
    for name in {name for name, _ in there if name.startswith("system/")}:
        steps = sorted(step for known, step in there if known == name)
        assert steps == list(range(steps[0], steps[0] + len(steps))), name


def assert_same_values(found: Values, expected: Values) -> None:
    """Fail unless both have the same metrics of training at the same steps with the same values."""

    def of_training(values: Values) -> Values:
        return {
            point: 0.0 if point[0] in NEVER_ALIKE else value
            for point, value in values.items()
            if point[0].startswith(("train/", "epoch/"))
        }

    one, other = of_training(found), of_training(expected)
    assert one.keys() == other.keys()
    different = {point: (value, other[point]) for point, value in one.items() if value != other[point]}
    assert not different
