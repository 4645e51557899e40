"""A one-cycle schedule and weight decay: what label readers are trained with, also when resumed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.training.settings import OptimiserConfig, TrainingConfig
from pipeline.training.step import Step
from tests.pipeline.runs import small_run
from tests.pipeline.training.test_resume import ALONE, assert_goes_on_bitwise, die

CYCLE = OptimiserConfig(schedule="one_cycle", weight_decay=0.1)


def test_the_learning_rate_rises_for_a_fifth_of_the_steps_and_falls_to_zero() -> None:
    shares = [CYCLE.share_at(step, 100) for step in range(100)]
    assert shares[0] == pytest.approx(0.025)
    assert shares[:20] == sorted(shares[:20])
    assert shares[20:] == sorted(shares[20:], reverse=True)
    assert max(shares) == pytest.approx(1, abs=0.03)
    assert shares[-1] == pytest.approx(0.005 / 0.8)
    assert {OptimiserConfig().share_at(step, 100) for step in range(100)} == {1.0}


def test_matrices_and_kernels_decay_and_nothing_else(tiny_data_set: Path) -> None:
    config = replace(small_run(tiny_data_set), model=LabelReaderConfig(channels=8), optimiser=CYCLE)
    step = Step(config, DataSpec.of(DataSet(tiny_data_set).manifest), ALONE)
    decay, rest = step.optimiser.param_groups
    assert isinstance(step.optimiser, torch.optim.AdamW)
    assert (decay["weight_decay"], rest["weight_decay"]) == (0.1, 0)
    assert all(parameter.ndim > 1 for parameter in decay["params"])
    assert all(parameter.ndim == 1 for parameter in rest["params"])
    assert len(decay["params"]) + len(rest["params"]) == len(list(step.model.parameters()))


def test_a_resumed_reader_is_bitwise_equal(tiny_data_set: Path, tmp_path: Path) -> None:
    """Also its augmentation and the running statistics of batch norm."""
    run = small_run(tiny_data_set, epochs=2, log_every_steps=4, batch_size=100)
    assert_goes_on_bitwise(
        replace(run, model=LabelReaderConfig(channels=4), optimiser=CYCLE), tmp_path, 8, die
    )


def test_what_does_not_go_together_is_refused() -> None:
    with pytest.raises(ConfigError, match="sets the learning rate at every step, so it takes no milestones"):
        replace(CYCLE, milestones=(1,))
    with pytest.raises(ConfigError, match=r"weight_decay is -1\.0; it must not be negative"):
        OptimiserConfig(weight_decay=-1.0)
    with pytest.raises(ConfigError, match="cuda_graphs needs schedule constant"):
        RunConfig(optimiser=CYCLE, training=TrainingConfig(cuda_graphs=True))
