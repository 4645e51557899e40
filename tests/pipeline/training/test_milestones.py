"""Learning rates that decay after milestones: as in torch's own schedule, also for adversaries, and when resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.data.dataset import DataSet
from pipeline.models.csvae import CSVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.training.loop import train
from pipeline.training.settings import OptimiserConfig
from pipeline.training.step import Step
from tests.pipeline.runs import final_parameters, small_run
from tests.pipeline.training.test_resume import ALONE, Recorder, ask_to_stop, assert_goes_on_bitwise, die

FALLING = OptimiserConfig(learning_rate=1e-3, milestones=(1, 3, 9), decay=0.25)
STEPS = 12  # of an epoch


def test_the_learning_rate_in_each_epoch_is_that_of_torchs_multi_step_schedule() -> None:
    optimiser = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=FALLING.learning_rate)
    schedule = torch.optim.lr_scheduler.MultiStepLR(optimiser, FALLING.milestones, FALLING.decay)
    for epoch in range(12):
        ours = FALLING.learning_rate * FALLING.decay_in(epoch)
        assert ours == pytest.approx(optimiser.param_groups[0]["lr"], rel=1e-12)
        optimiser.step()
        schedule.step()


def test_every_adversarys_learning_rate_decays_from_its_own(tiny_data_set: Path) -> None:
    model = CSVAEConfig(hidden_width=8, adversary_width=8)
    config = replace(small_run(tiny_data_set), model=model, optimiser=FALLING)
    step = Step(config, DataSpec.of(DataSet(tiny_data_set).manifest), ALONE)
    step.optimiser.param_groups[1]["lr"] = 0.5  # as a checkpoint may have
    first: list[float] = []
    last: list[float] = []
    for found, epoch in ((first, 0), (last, 3)):
        step.begin_epoch(epoch)
        found.extend(group["lr"] for group in step.optimiser.param_groups)
    assert len(first) == 2
    assert first[0] == FALLING.learning_rate
    assert last == pytest.approx([rate / 16 for rate in first])


@pytest.mark.parametrize(("step", "how"), [(STEPS + 8, ask_to_stop), (2 * STEPS + 4, die)])
def test_a_resumed_run_has_the_learning_rate_of_its_epoch(
    tiny_data_set: Path, tmp_path: Path, step: int, how
) -> None:
    config = replace(
        small_run(tiny_data_set, epochs=3, log_every_steps=4), optimiser=replace(FALLING, milestones=(1, 2))
    )
    assert_goes_on_bitwise(config, tmp_path, step, how)
    steady = replace(config, optimiser=replace(FALLING, milestones=()))
    train(steady, tmp_path / "steady", DataSet(tiny_data_set), ALONE, Recorder())
    fallen, not_fallen = final_parameters(tmp_path / "whole"), final_parameters(tmp_path / "steady")
    assert any((fallen[name] != value).any() for name, value in not_fallen.items())


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"milestones": (0, 3)},
            "milestones are 0, 3; each must be later than the previous one, the first at",
        ),
        ({"milestones": (3, 3)}, "milestones are 3, 3; each must be later"),
        ({"decay": 0.0}, "decay is 0.0; it must be above 0 and at most 1"),
        ({"decay": float("nan")}, "decay is nan; it must be above 0"),
    ],
)
def test_a_schedule_that_cannot_be_is_one_sentence(fields, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        OptimiserConfig(**fields)
