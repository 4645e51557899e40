"""A run whose supervision rate changes, interrupted where it does: resumed, it equals the uninterrupted run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pipeline.data.dataset import DataSet
from pipeline.training.loop import train
from tests.pipeline.runs import assert_bitwise_equal, small_run
from tests.pipeline.training.test_resume import ALONE, Recorder, ask_to_stop, assert_goes_on_bitwise, die

STEPS = 12  # of an epoch


@pytest.mark.parametrize(("step", "how"), [(STEPS + 8, ask_to_stop), (2 * STEPS, die)])
def test_a_run_resumed_in_the_middle_of_its_schedule_is_bitwise_equal(
    tiny_data_set: Path, tmp_path: Path, step: int, how
):
    config = small_run(tiny_data_set, epochs=3, log_every_steps=4)
    config = replace(
        config, data=replace(config.data, supervision_rate=0.9, supervision_schedule=((1, 0.5), (2, 0.1)))
    )
    assert_goes_on_bitwise(config, tmp_path, step, how)


def test_a_schedule_changes_what_is_learned_from_the_epoch_on_where_it_begins(
    tiny_data_set: Path, tmp_path: Path
):
    config = small_run(tiny_data_set, epochs=2, rate=0.9, keep_checkpoints=2)
    found = {}
    for name, schedule in (("steady", ()), ("falling", ((1, 0.1),))):
        run = replace(config, data=replace(config.data, supervision_schedule=schedule))
        train(run, tmp_path / name, DataSet(tiny_data_set), ALONE, Recorder())
        found[name] = [
            torch.load(tmp_path / name / f"step-{step:08}.pt", weights_only=True)["model"]
            for step in (STEPS, 2 * STEPS)
        ]
    assert_bitwise_equal(found["steady"][0], found["falling"][0])
    assert any((found["steady"][1][name] != value).any() for name, value in found["falling"][1].items())


@pytest.mark.parametrize("rate", [0.0, 1.0])
def test_runs_without_labels_and_with_all_of_them_reach_their_last_epoch(
    tiny_data_set: Path, tmp_path: Path, rate: float
):
    config = small_run(tiny_data_set, epochs=1, rate=rate)
    recorded = Recorder()
    train(config, tmp_path, DataSet(tiny_data_set), ALONE, recorded)
    numbers = recorded.points["epoch", STEPS]
    assert all(torch.tensor(list(numbers.values())).isfinite())
    assert ("labelled/log_predictive" in numbers) == (rate == 1)
    assert ("unlabelled/elbo" in numbers) == (rate == 0)
