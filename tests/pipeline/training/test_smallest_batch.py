"""A system that compares the examples of a batch is not trained on batches that have nothing to compare."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.data.dataset import DataSet
from pipeline.models.interface import DataSpec
from pipeline.training.step import Step
from pipeline.world import World
from tests.pipeline.runs import small_run

ALONE = World(rank=0, size=1, device=torch.device("cpu"))


def test_batches_of_one_image_are_refused_in_one_sentence(tiny_data_set: Path) -> None:
    data = DataSpec.of(DataSet(tiny_data_set).manifest)
    sentence = "^beta_tcvae compares the examples of a batch: batch_size is 1; it must be at least 2$"
    with pytest.raises(ConfigError, match=sentence):
        Step(small_run(tiny_data_set, system="beta_tcvae", batch_size=1), data, ALONE)
    for system, size in (("beta_tcvae", 2), ("ccvae", 1)):
        assert Step(small_run(tiny_data_set, system=system, batch_size=size), data, ALONE)
