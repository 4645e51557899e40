"""The term for one label per class (ReVAE D.2), compared with a literal transcription, and the loop's examples."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError, Interrupted
from pipeline.config import RunConfig
from pipeline.data.dataset import DataSet
from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.ccvae_one_per_class import OnePerClassCCVAE, OnePerClassCCVAEConfig
from pipeline.models.interface import DataSpec, KeepsExamples
from pipeline.training.loop import train
from tests.pipeline.models.ccvae_reference import CCVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.reference_densities import log_normal
from tests.pipeline.models.tiny_models import (
    CLASS_FREQUENCIES,
    IMAGES,
    LABELS,
    TINY,
    batch_of,
    gradients,
    part,
    randomise,
)
from tests.pipeline.runs import (
    assert_bitwise_equal,
    final_parameters,
    small_run,
)
from tests.pipeline.training.test_resume import ALONE, Recorder, ask_to_stop, assert_goes_on_bitwise, die

SMALL: dict[str, Any] = {
    "characteristic_size": 2,
    "style_size": 1,
    "hidden_width": 8,
    "predictive_samples": 6,
}
STORED = torch.tensor([[1, 1, 1, 0], [0, 0, 1, 1], [1, 0, 0, 0]]) * 255
"""An image of each class."""
LABELLED = 2


def tiny(**options: Any) -> OnePerClassCCVAE:
    model = OnePerClassCCVAEConfig(**SMALL | options).build(TINY)
    randomise(model)
    model.keep_examples(batch_of(STORED, torch.arange(3), 3))
    return model


def give(draws: InjectedDraws, agreement: Tensor, labelled: int = LABELLED) -> None:
    draws.give(noise(1, 5, 3, seed=1), noise(6, 5, 2, seed=2)[:, :labelled], agreement)


def term_of_one_row(model: OnePerClassCCVAE, draw: Tensor) -> Tensor:
    """``E_{y ~ p(y), z_c ~ p(z_c|y)} log q(ỹ | z_c)`` from noise (class, latent), written out."""
    reference = CCVAEReference(model, TINY, model.config)
    total = torch.zeros(())
    for y, frequency in enumerate(CLASS_FREQUENCIES):
        mean, scale = reference.prior(0, y)
        z_c = (mean + scale * draw[y]).detach()
        densities = []
        for x_y in STORED / 255:
            stored_mean, stored_scale = (of[:2] for of in reference.posterior(x_y))
            densities.append(float(log_normal(z_c, stored_mean, stored_scale).sum().detach()))
        nearest = densities.index(max(densities))
        total = total + frequency * reference.log_q_y(0, z_c, nearest)
    return total


@pytest.mark.usefixtures("float64")
def test_the_objective_of_unlabelled_rows_is_the_bound_and_the_term_as_written(draws: InjectedDraws) -> None:
    model, draw = tiny(), noise(3, 3, 2, seed=3)
    plain = CCVAEConfig(**SMALL).build(TINY)
    plain.load_state_dict(model.state_dict(), strict=False)
    give(draws, draw)
    losses = model(batch_of(IMAGES, LABELS, LABELLED))
    found = losses.objective
    draws.give(noise(1, 5, 3, seed=1), noise(6, 5, 2, seed=2)[:, :LABELLED])
    bound = plain(batch_of(IMAGES, LABELS, LABELLED)).objective
    term = torch.stack([term_of_one_row(model, each) for each in draw])
    torch.testing.assert_close(found, bound + 5 * torch.cat([torch.zeros(LABELLED), term]))
    assert term.unique().numel() == 3
    torch.testing.assert_close(losses.terms["elbo"][0], bound.sum().detach().float())  # what is measured


@pytest.mark.usefixtures("float64")
def test_the_gradient_of_the_term_is_the_classifiers_alone_and_that_of_the_reference(
    draws: InjectedDraws,
) -> None:
    model, draw = tiny(), noise(3, 3, 2, seed=3)
    mean, scale = model.posterior(STORED / 255)
    draws.give(draw)
    found = gradients(model.agreement(mean, scale, 3).sum(), model)
    expected = gradients(torch.stack([term_of_one_row(model, each) for each in draw]).sum(), model)
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, msg=name)
    assert (part(found, "classifier") != 0).any()
    assert (part(found, "encoder", "decoder", "conditional_prior") == 0).all()


@pytest.mark.usefixtures("float64")
def test_samples_get_the_class_of_the_nearest_example_and_not_their_own() -> None:
    """If the stored examples are at the positions of other classes than the prior's, the classifier follows them."""
    model = tiny()
    torch.manual_seed(0)
    means, _ = model.conditional_prior.of_label(0)
    swapped = torch.tensor([1, 2, 0])
    places = torch.cat([means[swapped], torch.zeros(3, 1)], dim=1).detach()  # of z, style last
    optimiser = torch.optim.Adam(model.classifier.parameters(), lr=0.05)
    for _ in range(200):
        loss = -model.agreement(places, torch.full((3, 3), 0.3), 50).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    (log_q,) = model.classifier(means)
    assert log_q[:, 0].argmax(-1).tolist() == swapped.argsort().tolist()


def test_it_keeps_examples_and_takes_one_class_label() -> None:
    assert isinstance(OnePerClassCCVAEConfig().build(TINY), KeepsExamples)
    several = DataSpec(image_shape=(1, 2, 2), cardinalities=(2, 2), label_frequencies=((0.5, 0.5),) * 2)
    with pytest.raises(ConfigError, match="ccvae_one_per_class needs a data set with one class label"):
        OnePerClassCCVAEConfig().build(several)
    with pytest.raises(ConfigError, match="ccvae_one_per_class: nearest_example_weight is -1"):
        OnePerClassCCVAEConfig(nearest_example_weight=-1.0)


# in the loop


def one_per_class_run(data_set: Path, *, epochs: int = 2, ranks: int = 1, **data: Any) -> RunConfig:
    config = small_run(data_set, epochs=epochs, ranks=ranks, log_every_steps=4)
    settings: dict[str, Any] = {"supervision_rate": 0.0, "one_per_class": True} | data
    return replace(
        config,
        model=OnePerClassCCVAEConfig(hidden_width=32, predictive_samples=10),
        data=replace(config.data, **settings),
    )


def test_a_run_keeps_its_examples_in_the_checkpoint_and_resumes_bitwise(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    data, config = DataSet(tiny_data_set), one_per_class_run(tiny_data_set)
    model = train(config, tmp_path / "whole", data, ALONE, Recorder())
    columns = data.columns("train")
    assert isinstance(model, OnePerClassCCVAE)
    kept = data.images("train").gather(columns.first_of_each_class())
    assert torch.equal(model.examples, torch.from_numpy(kept))
    with pytest.raises(Interrupted):
        train(config, tmp_path / "resumed", data, ALONE, Recorder(16, ask_to_stop))
    train(config, tmp_path / "resumed", data, ALONE, Recorder())
    whole = final_parameters(tmp_path / "whole")
    assert_bitwise_equal(whole, final_parameters(tmp_path / "resumed"))
    assert torch.equal(whole["model.examples"], model.examples)


def test_a_run_without_a_labelled_example_of_some_class_is_refused(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    config = one_per_class_run(tiny_data_set, one_per_class=False)
    with pytest.raises(ConfigError, match="no example of class 0 is labelled at supervision_rate=0, but one"):
        train(config, tmp_path, DataSet(tiny_data_set), ALONE, Recorder())


def test_examples_are_kept_although_the_rate_decreases_until_they_have_no_labels(
    tiny_data_set: Path, tmp_path: Path
) -> None:
    falling = ((1, 0.05), (2, 0.0))
    config = one_per_class_run(tiny_data_set, epochs=3, supervision_rate=0.1, supervision_schedule=falling)
    assert_goes_on_bitwise(config, tmp_path, 24, die)


def test_examples_of_a_batch_are_given_in_the_order_of_their_classes() -> None:
    model = tiny()
    with pytest.raises(AssertionError):
        model.keep_examples(batch_of(STORED, torch.tensor([1, 0, 2]), 3))
