"""Runs of systems that learn from a reference set: their batches, resumption, and what is recorded of their players."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.cells.record import DRAW_REFERENCES
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.models.interface import DataSpec
from pipeline.models.parts.reference_vae import EncodesTargets
from pipeline.models.srb_vae import SRbVAEConfig
from pipeline.training import checkpoint
from pipeline.training.loop import train
from pipeline.training.players import EpochsWon, gradient_norms
from pipeline.training.step import Step
from pipeline.world import World
from tests.pipeline.data.colour_rows import ColourRows, prepare_colour_rows
from tests.pipeline.models.every_system import CASES, narrow
from tests.pipeline.models.test_every_capability import small_model_of
from tests.pipeline.runs import small_cell, small_run
from tests.pipeline.training.test_resume import ALONE, Recorder, assert_goes_on_bitwise, die

REFERENCE = ColourRows().rows("train", 0, 157).reference
OTHERS = int((~REFERENCE).sum())
PLAYERS = ("model", "unlabelled_discriminator", "reference_discriminator")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return prepare_colour_rows(tmp_path_factory.mktemp("colour"), "arrow")


def run_of(folder: Path, system: str = "srb_vae", **training: Any) -> RunConfig:
    config = small_run(folder, rate=1.0, **({"epochs": 2, "batch_size": 40, "log_every_steps": 2} | training))
    return replace(config, model=narrow(system, network="mlp", latent_size=3, target_size=2))


def test_batches_have_as_many_references_first_on_each_rank_and_no_labels(folder: Path) -> None:
    data = DataSet(folder)
    for rank in range(2):
        world = World(rank=rank, size=2, device=torch.device("cpu"))
        examples = TrainingExamples(run_of(folder, ranks=2), data, world)
        assert examples.references == REFERENCE.sum()
        for batch, size in examples.epoch(1):
            assert batch.references == len(batch) / 2
            in_set = REFERENCE[[int(name.removeprefix("train-")) for name in batch.ids]]
            assert in_set[: batch.references].all()
            assert not in_set[batch.references :].any()
            assert not batch.observed.any()
            assert batch.labelled == 0
            assert sum(batch.rows_of_ranks) == size
            assert batch.rows_of_ranks[rank] == len(batch)
        examples.close()


def test_exactly_the_systems_that_encode_target_factors_draw_references() -> None:
    encoding = {case.system for case in CASES if isinstance(small_model_of(case), EncodesTargets)}
    assert encoding == DRAW_REFERENCES


def test_a_data_set_without_a_reference_set_is_refused(tiny_data_set: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"^rb_vae learns from a reference set, and idx_folder has none; transformed_mnist "
    ):
        TrainingExamples(run_of(tiny_data_set, "rb_vae"), DataSet(tiny_data_set), ALONE)


def test_a_resumed_run_is_bitwise_equal_and_records_all_players(folder: Path, tmp_path: Path) -> None:
    config = run_of(folder)
    assert_goes_on_bitwise(config, tmp_path, 4, die)
    cell = small_cell(tmp_path, config)
    state = checkpoint.load_newest(tmp_path / "resumed", torch.device("cpu"))
    assert state is not None
    assert state["step"] == cell.last_step() == 2 * -(-2 * OTHERS // 40)
    assert set(state["epochs_won"]) == {
        "unlabelled/discriminator_accuracy",
        "reference/discriminator_accuracy",
    }
    recorder = Recorder()
    # A checkpoint of a version that recorded fewer terms is resumed, too.
    state["sums"] = state["sums"][:, :, :-3]
    checkpoint.save(tmp_path / "former", state["step"], state, 1, lambda: None)
    train(run_of(folder, epochs=3), tmp_path / "former", DataSet(folder), ALONE, recorder)
    ((_, step), last) = list(recorder.points.items())[-1]
    assert step == state["step"] * 3 // 2
    for player in PLAYERS:
        assert last[f"gradient_norm/{player}"] > 0
    for kind in ("unlabelled", "reference"):
        assert {"divergence", "discriminator_log_probability", "discriminator_accuracy"} <= {
            name.removeprefix(f"{kind}/") for name in last
        }
        assert 0 <= last[f"{kind}/discriminator_accuracy"] <= 1
        assert last[f"{kind}/discriminator_epochs_won"] in range(4)


def test_the_recorded_norms_are_those_of_each_players_gradient(folder: Path) -> None:
    data = DataSet(folder)
    step, examples = (
        Step(run_of(folder), DataSpec.of(data.manifest), ALONE),
        TrainingExamples(run_of(folder), data, ALONE),
    )
    step.warm_up(examples.first())
    batch, size = next(iter(examples.epoch(0)))
    found = dict(zip(step.term_names, step(batch, 0, size).tolist(), strict=True))
    squares = dict.fromkeys(PLAYERS, 0.0)
    for name, parameter in step.model.named_parameters():
        assert parameter.grad is not None
        owner = name.split(".")[0]
        squares[owner if owner in PLAYERS else "model"] += float(parameter.grad.square().sum())
    for player, square in squares.items():
        norm, count = found[f"gradient_norm/{player}"]
        assert norm == pytest.approx(square**0.5, rel=1e-5)
        assert count == 1


def test_the_norm_of_ccvaes_classifier_is_recorded_with_its_square(tiny_data_set: Path) -> None:
    config, data = small_run(tiny_data_set, rate=0.5), DataSet(tiny_data_set)
    step, examples = Step(config, DataSpec.of(data.manifest), ALONE), TrainingExamples(config, data, ALONE)
    step.warm_up(examples.first())
    batch, size = next(iter(examples.epoch(0)))
    found = dict(zip(step.term_names, step(batch, 0, size).tolist(), strict=True))
    gradients = [parameter.grad for parameter in step.model.get_submodule("classifier").parameters()]
    square = sum(float(each.square().sum()) for each in gradients if each is not None)
    assert square > 0
    assert found["gradient_norm/classifier"] == [pytest.approx(square**0.5, rel=1e-5), 1]
    assert found["gradient_norm_squared/classifier"] == [pytest.approx(square, rel=1e-5), 1]
    (nothing,) = gradient_norms([("unused", (torch.nn.Parameter(torch.zeros(2)),))])
    assert nothing.tolist() == [0, 0]


def test_a_discriminator_that_wins_is_told_once_in_a_row_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    won = EpochsWon({"discriminator_accuracy": 2})
    caplog.set_level(logging.WARNING)
    told = []
    for epoch, accuracy in enumerate([0.5, 0.995, 1.0, 0.99, 0.991], start=3):
        found = won.count({"objective": 1.0, "discriminator_accuracy": accuracy}, epoch)
        told.append((found["discriminator_epochs_won"], len(caplog.messages)))
    assert told == [(2, 0), (3, 1), (4, 1), (4, 1), (5, 2)]
    assert "discriminator_accuracy is 0.995 in epoch 4" in caplog.messages[0]
    assert EpochsWon().count({"objective": 1.0}, 1) == {}


def test_the_defaults_are_the_papers() -> None:
    config = SRbVAEConfig()
    assert (config.latent_size, config.target_size, config.discriminator_dropout) == (32, 32, 0.25)
    assert config.network == "pixel_norm"
    assert (config.likelihood, 2 * config.likelihood_scale) == ("laplace", 0.01)  # for images in [−1, 1]
