"""A model with a schedule is notified of each epoch, and an interrupted warm-up resumes exactly."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep import sources
from data_prep.sources.mnist import idx_folder
from data_prep.sources.rotated_mnist import RotatedImages
from data_prep.stages import prepare
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.models.diva_original import DivaOriginal, DivaOriginalConfig
from pipeline.training.loop import train
from tests.pipeline.runs import small_run
from tests.pipeline.training.test_resume import ALONE, Recorder, ask_to_stop, assert_goes_on_bitwise, die

STEPS = 12
"""Of an epoch: 600 rows, 50 at a time."""


@pytest.fixture(scope="module")
def rotated_data_set(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """300 images of ten classes in two rotations to train on, and a third."""

    def tiny(raw: Path | None) -> RotatedImages:
        return RotatedImages(plain=idx_folder(raw), per_class=30, angles=(0.0, 30.0, 60.0), held_out=60.0)

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sources.SOURCES, "rotated_mnist", tiny)
        root = tmp_path_factory.mktemp("rotated")
        yield prepare("rotated_mnist", raw=tiny_raw, root=root, workers=1, formats="arrow", progress=False)


def run_of(data_set: Path, **options: Any) -> RunConfig:
    sizes: dict[str, Any] = {"characteristic_size": 4, "domain_size": 4, "style_size": 4, "hidden_width": 16}
    model = DivaOriginalConfig(network="mlp", **{"warm_up_epochs": 4, **sizes, **options})
    return replace(small_run(data_set, epochs=3), model=model)


def test_a_model_is_notified_of_every_epoch_once(
    rotated_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    epochs: list[int] = []
    monkeypatch.setattr(DivaOriginal, "begin_epoch", lambda _, epoch: epochs.append(epoch))
    train(run_of(rotated_data_set), tmp_path, DataSet(rotated_data_set), ALONE, Recorder())
    assert epochs == [0, 1, 2]


@pytest.mark.parametrize(("step", "how"), [(STEPS + 8, ask_to_stop), (2 * STEPS + 3, die)])
def test_a_run_resumed_in_its_warm_up_is_bitwise_equal(
    rotated_data_set: Path, tmp_path: Path, step: int, how
) -> None:
    config = run_of(rotated_data_set)
    config = replace(config, training=replace(config.training, log_every_steps=1))
    assert_goes_on_bitwise(config, tmp_path, step, how)


def test_the_warm_up_weighs_the_divergence_while_it_lasts(rotated_data_set: Path, tmp_path: Path) -> None:
    """What was recorded of the first epochs says which β they had."""
    recorder = Recorder()
    config = run_of(rotated_data_set, warm_up_epochs=2, classifier_weight=0.0, domain_classifier_weight=0.0)
    train(config, tmp_path, DataSet(rotated_data_set), ALONE, recorder)
    betas = []
    for epoch in (1, 2, 3):
        means = recorder.points["epoch", epoch * STEPS]
        betas.append((means["log_likelihood"] - means["objective"]) / means["kl"])
    torch.testing.assert_close(betas, [0.5, 1.0, 1.0], rtol=1e-3, atol=0)
