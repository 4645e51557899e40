"""DIVA with domains: its objective against the formula, the warm-up, and what each of its three codes is for."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.diva_original import DivaOriginal, DivaOriginalConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.label_estimators import LabelMarginal
from tests.pipeline.models.ccvae_reference import Values
from tests.pipeline.models.diva_cases import (
    PARTLY_OBSERVED,
    TOLERANCE,
    DivaReference,
    expected_objective,
    give_draws,
    likelihood_and_gap,
    written_out,
)
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, MIXED, OBSERVED, batch_with
from tests.pipeline.models.reference_densities import gaussian, network
from tests.pipeline.models.tiny_models import IMAGES, assert_written_out, randomise

DOMAIN = 1
"""The label of MIXED that is the domain: of three values, in addition to two binary ones."""
IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)
REPOSITORY = Path(__file__).parents[3]


def tiny(data: DataSpec = MIXED, **options: Any) -> DivaOriginal:
    settings = {"domain_size": 2, "characteristic_size": 2, "style_size": 1, "hidden_width": 8, **options}
    model = DivaOriginalConfig(**settings).build(data)
    randomise(model)
    return model


class OriginalReference(DivaReference):
    """Of data whose last latents ``z_c`` are the domain's: in MIXED the third and fourth, in BINARY the second."""

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        each = [
            gaussian(network(self.weights, f"encoder.{of}", x))
            for of in ("of_labels", "of_domain", "of_style")
            if f"encoder.{of}.0.weight" in self.weights
        ]
        mean, scale = (torch.cat(parts, dim=-1) for parts in zip(*each, strict=True))
        return mean, scale


@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated", "jensen_sampled"])
@pytest.mark.parametrize("epoch", [None, 0, 2, 7])
@pytest.mark.usefixtures("float64")
def test_objective_and_gradient_are_those_written_out(
    epoch: int | None, marginal: LabelMarginal, draws: InjectedDraws
) -> None:
    """Also where domain or label alone is observed: OBSERVED has rows of either kind."""
    model = tiny(
        label_marginal=marginal, warm_up_epochs=5, classifier_weight=35.0, domain_classifier_weight=20.0
    )
    if epoch is not None:
        model.begin_epoch(epoch)
    beta = {None: 1.0, 0: 0.2, 2: 0.6, 7: 1.0}[epoch]
    given = give_draws(model, draws)
    found = model(batch_with(MIXED, OBSERVED, 3)).objective
    reference = OriginalReference(model, MIXED)
    expected = written_out(reference, MIXED, given, OBSERVED, beta=beta, alphas=[35.0, 20.0, 35.0])
    assert_written_out(model, found, expected)


@pytest.mark.parametrize("y", PARTLY_OBSERVED, ids=str)
@pytest.mark.parametrize("marginal", ["exact", "jensen_enumerated"])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_as_a_bound_it_misses_the_exact_log_likelihood_by_its_divergence(
    marginal: LabelMarginal, y: Values, draws: InjectedDraws
) -> None:
    """Of an image whose label, domain, both or neither are observed."""
    no_classifiers = {"classifier_weight": 0.0, "domain_classifier_weight": 0.0}
    model = tiny(BINARY, domain_size=1, style_size=0, label_marginal=marginal, **no_classifiers)
    for image in IMAGES[:2]:
        log_likelihood, gap = likelihood_and_gap(OriginalReference(model, BINARY), image, y)
        bound = expected_objective(model, draws, image, y)
        assert log_likelihood - bound == pytest.approx(gap, abs=TOLERANCE)
        assert 0.05 < gap < 5


@pytest.mark.parametrize("domain", [0, 1, 2])
@torch.no_grad()
def test_each_encoder_gives_the_latents_that_are_its_own(domain: int) -> None:
    """Also where the domain is binary, and where its latents stand between those of two labels."""
    model = tiny(domain_label=domain)
    own, latents = model.layout.latents_of(domain), model.layout.latents
    assert own.stop - own.start == 2
    of_labels = [place for place in range(latents) if not own.start <= place < own.stop]
    places = {"of_labels": of_labels, "of_domain": list(range(own.start, own.stop)), "of_style": [latents]}
    weights: dict[str, Tensor] = dict(model.named_parameters())
    mean, scale = model.posterior(IMAGES / 255)
    for name, its in places.items():
        expected_mean, raw = network(weights, f"encoder.{name}", IMAGES / 255).chunk(2, dim=-1)
        torch.testing.assert_close(mean[:, its], expected_mean)
        torch.testing.assert_close(scale[:, its], torch.nn.functional.softplus(raw))


@torch.no_grad()
def test_label_and_domain_classifiers_have_a_weight_each() -> None:
    for domain in range(3):
        model = tiny(domain_label=domain, classifier_weight=35.0, domain_classifier_weight=20.0)
        order = [label for block in model.layout.blocks for label in block.labels]
        assert model.classifier_weights.tolist() == [20.0 if i == domain else 35.0 for i in order]


def test_without_style_latents_there_is_no_third_encoder() -> None:
    model = tiny(style_size=0)
    assert dict(model.encoder.named_children()).keys() == {"of_labels", "of_domain"}
    model(batch_with(MIXED, OBSERVED, 3)).objective.sum().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


# the warm-up


def test_beta_grows_by_equal_steps_and_is_full_at_the_end_of_the_warm_up() -> None:
    model = tiny(warm_up_epochs=100, kl_weight=3.0)
    assert float(model.kl_weight) == 3.0, "measures see the objective that training ends with"
    for epoch, expected in ((0, 0.03), (1, 0.06), (49, 1.5), (98, 2.97), (99, 3.0), (100, 3.0), (499, 3.0)):
        model.begin_epoch(epoch)
        assert float(model.kl_weight) == pytest.approx(expected)
    model.begin_epoch(0)  # a resumed run sets its epoch again, whatever was set before
    assert float(model.kl_weight) == pytest.approx(0.03)
    without = tiny(warm_up_epochs=0)
    without.begin_epoch(0)
    assert float(without.kl_weight) == 1.0
    assert not any("kl_weight" in name for name in model.state_dict())


@pytest.mark.usefixtures("no_type_checks")
def test_weights_given_as_whole_numbers_have_fractions_too() -> None:
    model = tiny(kl_weight=1, classifier_weight=35, domain_classifier_weight=0.5)
    model.begin_epoch(0)
    assert float(model.kl_weight) == pytest.approx(0.01)
    assert model.classifier_weights.tolist() == [35.0, 35.0, 0.5]


@pytest.mark.slow(30)
def test_a_new_beta_is_used_by_the_compiled_model_without_recompiling() -> None:
    """In a separate process: the shape checks of the tests cannot be compiled."""
    program = """
import torch
from torch._dynamo.testing import CompileCounter
from pipeline.data.batch import Batch
from pipeline.models.diva_original import DivaOriginalConfig
from pipeline.models.interface import DataSpec

data = DataSpec(image_shape=(1, 2, 2), cardinalities=(3, 2), label_frequencies=((0.5, 0.3, 0.2), (0.5, 0.5)))
model = DivaOriginalConfig(hidden_width=8).build(data)
counter = CompileCounter()
model.compile(backend=counter)
batch = Batch(
    image=torch.arange(16, dtype=torch.uint8).reshape(4, 1, 2, 2),
    labels=torch.ones(4, 2, dtype=torch.uint8),
    observed=torch.ones(4, 2, dtype=torch.bool),
    labelled=4,
)
found, frames = [], []
for epoch in (0, 1, 49, 99):
    model.begin_epoch(epoch)
    torch.manual_seed(0)
    losses = model(batch)
    losses.objective.sum().backward()
    found.append(float(losses.objective.detach().sum()))
    frames.append(counter.frame_count)
kl = float(losses.terms["kl"][0])
assert frames[0] > 0 and len(set(frames)) == 1, frames
for value, beta in zip(found, (0.01, 0.02, 0.5, 1.0)):
    assert abs((found[0] - value) - (beta - 0.01) * kl) < 1e-3 * abs(found[0]), (found, kl)
assert kl > 1
"""
    subprocess.run([sys.executable, "-c", program], cwd=REPOSITORY, check=True, timeout=250)


# its networks


@pytest.mark.parametrize(
    ("side", "network", "first_layer"),
    [
        (28, "auto", (32, 1, 5, 5)),
        (28, "mlp", (600, 784)),
        (64, "auto", (32, 1, 4, 4)),
        (20, "auto", (600, 400)),
    ],
)
def test_encoders_follow_the_size_of_the_image(side: int, network: Any, first_layer: tuple[int, ...]) -> None:
    data = DataSpec(
        image_shape=(1, side, side), cardinalities=(10, 5), label_frequencies=((0.1,) * 10, (0.2,) * 5)
    )
    torch.manual_seed(0)
    model = DivaOriginalConfig(network=network).build(data)
    for name in ("of_labels", "of_domain", "of_style"):
        encoder = model.encoder.get_submodule(name)
        weight, *_ = (each for each in encoder.parameters() if each.ndim > 1)
        assert weight.shape == first_layer
    images = torch.randint(256, (2, side * side))
    batch = batch_with(data, torch.ones(2, 2).bool(), 2, images=images, labels=torch.tensor([[9, 4], [0, 0]]))
    assert model(batch).objective.isfinite().all()
    assert model.reconstruct(batch.image).shape == (2, 1, side, side)


# what it can do


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_an_image_is_generated_from_its_label_and_its_domain(draws: InjectedDraws) -> None:
    model = tiny()
    reference = OriginalReference(model, MIXED)
    fresh, of_style = noise(3, 4, seed=1), noise(3, 1, seed=2)
    draws.give(fresh, of_style)
    labels = torch.tensor(
        [[1, 0, 0], [1, 1, 0], [1, 2, 0]], dtype=torch.uint8
    )  # the same digit in every domain
    found = model.generate(labels)
    z = torch.cat([torch.zeros(3, 4), of_style], dim=1)
    for row in range(3):
        for i, own in reference.places.items():
            mean, scale = reference.prior(i, int(labels[row, i]))
            z[row, own] = mean + scale * fresh[row, own]
    torch.testing.assert_close(found, model.decode(z))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_a_swap_takes_the_label_from_one_image_and_domain_and_style_from_the_other() -> None:
    model = tiny()
    z = model.posterior(IMAGES / 255)[0]
    found = model.swap(IMAGE[:4], IMAGE[1:])
    expected = torch.cat([z[:4, :2], z[1:, 2:]], dim=-1)
    torch.testing.assert_close(found, model.decode(expected))
    torch.testing.assert_close(model.swap(IMAGE, IMAGE), model.reconstruct(IMAGE))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_another_domain_changes_the_latents_of_the_domain_alone(draws: InjectedDraws) -> None:
    model = tiny()
    reference, z = OriginalReference(model, MIXED), model.posterior(IMAGES / 255)[0]
    values = torch.tensor([2, 0, 1, 1, 2], dtype=torch.uint8)
    fresh = noise(3, 5, 2, seed=1)
    draws.give(fresh)
    found = model.intervene(IMAGE, DOMAIN, values, 3)
    for draw in range(3):
        changed = z.clone()
        for row, value in enumerate(values.tolist()):
            mean, scale = reference.prior(DOMAIN, value)
            changed[row, 2:4] = mean + scale * fresh[draw, row]
        torch.testing.assert_close(found[draw], model.decode(changed))
    path = model.traverse(IMAGE, DOMAIN, 3, start=2, end=0)
    for step, share in enumerate((0.0, 0.5, 1.0)):
        changed = z.clone()
        changed[:, 2:4] = (1 - share) * reference.prior(DOMAIN, 2)[0] + share * reference.prior(DOMAIN, 0)[0]
        torch.testing.assert_close(path[step], model.decode(changed))


@torch.no_grad()
def test_a_label_is_predicted_from_its_own_code_only() -> None:
    model = tiny()
    image = IMAGE[:1]
    torch.manual_seed(0)
    before = model.classify(image)
    for parameter in model.encoder.get_submodule("of_domain").parameters():
        parameter.add_(1.0)
    torch.manual_seed(0)
    after = model.classify(image)
    assert torch.equal(before[0], after[0])
    assert torch.equal(before[2], after[2])
    assert (before[DOMAIN] - after[DOMAIN]).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"domain_label": -1}, "diva_original: domain_label is -1; it must not be negative"),
        ({"domain_size": 0}, "diva_original: domain_size is 0; it must be at least 1"),
        ({"warm_up_epochs": -1}, "diva_original: warm_up_epochs is -1; it must not be negative"),
        (
            {"domain_classifier_weight": -1.0},
            "diva_original: domain_classifier_weight is -1.0; it must not be negative",
        ),
        ({"classifier_weight": -1.0}, "diva_original: classifier_weight is -1.0; it must not be negative"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        DivaOriginalConfig(**options)


@pytest.mark.parametrize(
    ("domain", "cardinalities", "sentence"),
    [
        (3, (2, 2, 2), "diva_original: domain_label is 3; the last of the data set's 3 labels is 2"),
        (
            0,
            (10,),
            "diva_original needs a data set with a domain and at least one other label; this one has 1 labels",
        ),
    ],
)
def test_data_without_its_domain_are_refused(
    domain: int, cardinalities: tuple[int, ...], sentence: str
) -> None:
    data = DataSpec(
        image_shape=(1, 2, 2),
        cardinalities=cardinalities,
        label_frequencies=tuple((1 / values,) * values for values in cardinalities),
    )
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        DivaOriginalConfig(domain_label=domain).build(data)
