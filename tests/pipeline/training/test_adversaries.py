"""Adversaries in a step: each is updated for its own objective, at the same time as the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.config import RunConfig
from pipeline.data.batch import Batch
from pipeline.data.dataset import DataSet
from pipeline.data.examples import TrainingExamples
from pipeline.models.csvae import CSVAE
from pipeline.models.interface import Adversary, DataSpec, Losses
from pipeline.training.step import Step, seed_step
from pipeline.world import World
from tests.pipeline.runs import small_run

ALONE = World(rank=0, size=1, device=torch.device("cpu"))
RATE = 5e-4
"""Learning rate of a small run."""


def csvae_run(data_set: Path, precision: str = "float32", **options: Any) -> RunConfig:
    config = small_run(data_set, system="csvae", precision=precision)
    return replace(config, model=replace(config.model, **options))


def start(config: RunConfig) -> tuple[Step, list[tuple[Batch, int]]]:
    """A step after its warm-up, and the batches of the first epoch."""
    data = DataSet(Path(config.data.folder))
    step, examples = Step(config, DataSpec.of(data.manifest), ALONE), TrainingExamples(config, data, ALONE)
    step.warm_up(examples.first())
    batches = list(examples.epoch(0))
    examples.close()
    return step, batches


def parameters(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.named_parameters()}


def furthest_moves(config: RunConfig) -> dict[str, float]:
    """The largest change that one step makes to the parameters of the model and of each adversary."""
    step, batches = start(config)
    before = parameters(step.model)
    step(batches[0][0], 0, batches[0][1])
    moved = {"model": 0.0, "adversary": 0.0}
    for name, value in parameters(step.model).items():
        adversary = "adversary" if name.startswith("adversary.") else "model"
        moved[adversary] = max(moved[adversary], float((value - before[name]).abs().max()))
    return moved


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_each_player_moves_at_its_own_learning_rate(tiny_data_set: Path, precision: str) -> None:
    """Adam's first step has the size of the learning rate."""
    moved = furthest_moves(csvae_run(tiny_data_set, precision))
    assert moved == {"model": pytest.approx(RATE, rel=1e-3), "adversary": pytest.approx(RATE, rel=1e-3)}
    moved = furthest_moves(csvae_run(tiny_data_set, precision, adversary_learning_rate=0.02))
    assert moved == {"model": pytest.approx(RATE, rel=1e-3), "adversary": pytest.approx(0.02, rel=1e-3)}


def test_a_player_who_has_nothing_to_gain_does_not_move(tiny_data_set: Path) -> None:
    assert furthest_moves(csvae_run(tiny_data_set, adversary_weight=0.0))["adversary"] == 0
    weights = ("reconstruction_weight", "subspace_kl_weight", "kl_weight", "entropy_weight")
    nothing: dict[str, Any] = dict.fromkeys(weights, 0.0)
    moved = furthest_moves(csvae_run(tiny_data_set, **nothing))
    assert moved == {"model": 0, "adversary": pytest.approx(RATE, rel=1e-3)}


def test_steps_equal_those_with_separate_optimisers(tiny_data_set: Path) -> None:
    """Each differentiates only its own objective, and all are updated simultaneously."""
    config = csvae_run(tiny_data_set, adversary_learning_rate=2e-3)
    step, batches = start(config)
    torch.manual_seed(config.seed)
    model = config.model.build(DataSpec.of(DataSet(tiny_data_set).manifest))
    assert isinstance(model, CSVAE)
    adversary = list(model.adversary.parameters())
    others = [value for name, value in model.named_parameters() if not name.startswith("adversary.")]
    adversaries = [
        (others, torch.optim.Adam(others, lr=RATE, fused=True), lambda losses: losses.objective),
        (
            adversary,
            torch.optim.Adam(adversary, lr=2e-3, fused=True),
            lambda losses: losses.adversaries["adversary"],
        ),
    ]
    for number, (batch, size) in enumerate(batches[:5]):
        step(batch, number, size)
        seed_step(config.seed, number, 0)
        losses = model(batch)
        for own, _, objective_of in adversaries:
            loss = -objective_of(losses).sum() / size
            for value, gradient in zip(own, torch.autograd.grad(loss, own, retain_graph=True), strict=True):
                value.grad = gradient
        for _, optimiser, _ in adversaries:
            optimiser.step()
    ours = parameters(step.model)
    for name, expected in parameters(model).items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-4, atol=1e-6, msg=name)


@pytest.mark.parametrize("system", ["ccvae", "m2"])
def test_a_model_without_adversaries_has_the_usual_optimiser_state(tiny_data_set: Path, system: str) -> None:
    """So checkpoints from before there were adversaries can be resumed."""
    step, batches = start(small_run(tiny_data_set, system=system))
    plain = torch.optim.Adam(step.model.parameters(), lr=RATE, betas=(0.9, 0.999), fused=True)
    assert step.optimiser.state_dict()["param_groups"] == plain.state_dict()["param_groups"]
    step(batches[0][0], 0, batches[0][1])
    plain.load_state_dict(step.optimiser.state_dict())
    for parameter in step.model.parameters():
        torch.testing.assert_close(
            plain.state[parameter]["exp_avg"], step.optimiser.state[parameter]["exp_avg"]
        )


def test_a_missing_adversarial_objective_is_an_error(
    tiny_data_set: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    forward = CSVAE.forward

    def without_adversary(self: CSVAE, batch: Batch) -> Losses:
        losses = forward(self, batch)
        return Losses(objective=losses.objective, terms=losses.terms)

    monkeypatch.setattr(CSVAE, "forward", without_adversary)
    with pytest.raises(ValueError, match=r"adversaries \('adversary',\), objectives of \[\]"):
        start(csvae_run(tiny_data_set))


def test_a_parameter_of_two_players_is_refused(tiny_data_set: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def two(self: CSVAE) -> tuple[Adversary, ...]:
        own = tuple(self.adversary.parameters())
        return Adversary("adversary", own), Adversary("again", own)

    monkeypatch.setattr(CSVAE, "adversaries", two)
    with pytest.raises(ValueError, match="more than one parameter group"):
        start(csvae_run(tiny_data_set))
