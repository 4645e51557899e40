"""CSVAE: objectives and gradients of model and adversary against the formulas, the bound against the exact likelihood."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.capabilities import KnownLabels
from pipeline.models.csvae import CSVAE, CSVAEConfig
from pipeline.models.interface import DataSpec
from pipeline.models.parts.class_means import class_means
from tests.pipeline.models.csvae_reference import CSVAEReference
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import (
    BINARY,
    LABELS,
    MIXED,
    NEUTRAL,
    OBSERVED,
    batch_with,
    columns_of,
    known_values,
)
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.tiny_models import IMAGES, assert_players, randomise

IMAGE = IMAGES.to(torch.uint8).reshape(5, 1, 2, 2)
DATA = [
    pytest.param(BINARY, id="binary"),
    pytest.param(MIXED, id="mixed"),
    pytest.param(NEUTRAL, id="neutral"),
]
ONE = DataSpec(image_shape=(1, 2, 2), cardinalities=(2,), label_frequencies=((0.7, 0.3),))
WEIGHTS = ("reconstruction_weight", "subspace_kl_weight", "kl_weight", "entropy_weight")


def tiny(data: DataSpec, **options: Any) -> CSVAE:
    settings: dict[str, Any] = {
        "latent_size": 2,
        "hidden_width": 8,
        "adversary_width": 6,
        "hidden_labels": 0.0,
    }
    model = CSVAEConfig(**(settings | {"likelihood_scale": 0.5} | options)).build(data)
    randomise(model)
    return model


def given_noise(model: CSVAE, rows: int = 5) -> tuple[Tensor, Tensor]:
    attributes, size = model.attributes.count, model.config.subspace_size
    return noise(rows, model.config.latent_size, seed=1), noise(rows, attributes, size, seed=2)


def written_out(model: CSVAE, data: DataSpec, observed: Tensor) -> tuple[Tensor, Tensor]:
    reference = CSVAEReference(model, data, model.config)
    rows = zip(IMAGES / 255, known_values(data, observed), *given_noise(model), strict=True)
    both = [reference.objectives(x, values, values, *noises) for x, values, *noises in rows]
    return torch.stack([of_model for of_model, _ in both]), torch.stack([of_other for _, of_other in both])


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("at_origin", [False, True])
@pytest.mark.usefixtures("float64")
def test_both_objectives_and_all_gradients_are_those_written_out(
    data: DataSpec, at_origin: bool, draws: InjectedDraws
) -> None:
    """The gradient of the total objective equals, for each parameter, that of its owner's objective alone."""
    model = tiny(data, attribute_at_origin=at_origin, adversary_weight=0.7, subspace_size=3)
    observed = OBSERVED[:, columns_of(data)]
    draws.give(*given_noise(model))
    losses = model(batch_with(data, observed, 3))
    expected, of_adversary = written_out(model, data, observed)
    assert_players(model, losses, expected, {"adversary": of_adversary})


@pytest.mark.parametrize("values", [(1,), (0,), (None,)])
@pytest.mark.parametrize("at_origin", [False, True])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_bound_is_below_the_likelihood_by_the_divergence_of_the_posterior(
    values: tuple[int | None], at_origin: bool, draws: InjectedDraws
) -> None:
    unweighted = dict.fromkeys(WEIGHTS, 1.0) | {"entropy_weight": 0.0}
    model = tiny(ONE, latent_size=1, subspace_size=1, attribute_at_origin=at_origin, **unweighted)
    reference = CSVAEReference(model, ONE, model.config)
    z_axis = torch.linspace(-8, 8, 161, dtype=torch.float64)
    w_axis = torch.linspace(-5, 11, 1601, dtype=torch.float64)
    z, w = (axis.flatten()[:, None] for axis in torch.meshgrid(z_axis, w_axis, indexing="ij"))
    log_cell = math.log(0.1 * 0.01)
    log_p_w = (
        reference.log_p_w_marginal(w[:, None], 0)
        if values[0] is None
        else reference.log_p_w(w[:, None], 0, values[0])
    )
    standard, weights = gaussian_grid(2)
    for image in IMAGES[:2]:
        x = image / 255
        log_joint = reference.log_p_x(x, torch.cat([z, w], dim=-1)) + log_p_w + reference.log_p_y(values)
        log_joint = log_joint + torch.distributions.Normal(0.0, 1.0).log_prob(z)[:, 0]
        log_evidence = (log_joint + log_cell).logsumexp(0)
        log_q = reference.q_z(x).log_prob(z)[:, 0] + reference.q_w(x, values).log_prob(w[:, None])[:, 0, 0]
        divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_evidence)).sum()

        rows = len(standard)
        observed = torch.full((rows, 1), values[0] is not None)
        labels = torch.full((rows, 1), values[0] or 0)
        batch = batch_with(ONE, observed, int(observed.sum()), images=image.expand(rows, -1), labels=labels)
        draws.give(standard[:, :1], standard[:, 1:, None])
        losses = model(batch)
        bound = (weights * losses.objective).sum()
        assert float(log_evidence - bound) == pytest.approx(float(divergence), rel=2e-3, abs=2e-3)
        assert divergence > 0.05
        torch.testing.assert_close(losses.terms["elbo"][0], losses.objective.sum().float(), rtol=1e-5, atol=0)


@pytest.mark.parametrize("values", [(1, 0), (0, None), (None, None)])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_the_bound_of_two_labels_is_below_the_likelihood_by_the_divergence_of_the_posterior(
    values: tuple[int | None, int | None], draws: InjectedDraws
) -> None:
    unweighted = dict.fromkeys(WEIGHTS, 1.0) | {"entropy_weight": 0.0}
    model = tiny(BINARY, latent_size=1, subspace_size=1, **unweighted)
    reference = CSVAEReference(model, BINARY, model.config)
    z_axis = torch.linspace(-7, 7, 29, dtype=torch.float64)
    w_axis = torch.linspace(-8, 11, 191, dtype=torch.float64)
    latents = torch.cartesian_prod(z_axis, w_axis, w_axis)
    z, w = latents[:, :1], latents[:, 1:, None]
    log_cell = math.log(0.5 * 0.1**2)
    log_joint = torch.distributions.Normal(0.0, 1.0).log_prob(z)[:, 0] + reference.log_p_y(values)
    for label, value in enumerate(values):
        log_joint += (
            reference.log_p_w_marginal(w, label) if value is None else reference.log_p_w(w, label, value)
        )
    x = IMAGES[0] / 255
    log_joint += reference.log_p_x(x, latents)
    log_evidence = (log_joint + log_cell).logsumexp(0)
    log_q = reference.q_z(x).log_prob(z)[:, 0] + reference.q_w(x, values).log_prob(w)[..., 0].sum(-1)
    divergence = ((log_q + log_cell).exp() * (log_q - log_joint + log_evidence)).sum()

    axes = [torch.linspace(-7, 7, points, dtype=torch.float64) for points in (21, 113, 113)]
    standard = torch.cartesian_prod(*axes)  # the logarithm of the marginal prior has bends 0.1 wide
    log_weights = torch.distributions.Normal(0.0, 1.0).log_prob(standard).sum(-1) + math.log(0.7 * 0.125**2)
    observed = torch.tensor([value is not None for value in values]).expand(len(standard), -1)
    labels = torch.tensor([value or 0 for value in values]).expand(len(standard), -1)
    rows = len(standard) if observed.any() else 0
    batch = batch_with(BINARY, observed, rows, images=IMAGES[0].expand(len(standard), -1), labels=labels)
    draws.give(standard[:, :1], standard[:, 1:, None])
    bound = (log_weights.exp() * model(batch).objective).sum()
    assert divergence > 0.05
    assert float(log_evidence - bound) == pytest.approx(float(divergence), rel=2e-3, abs=2e-3)


@pytest.mark.parametrize(
    ("weight", "name", "sign"),
    [
        ("reconstruction_weight", "log_likelihood", 1),
        ("subspace_kl_weight", "subspace_kl", -1),
        ("kl_weight", "kl", -1),
        ("entropy_weight", "label_entropy", 1),
    ],
)
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_each_weight_counts_its_term_with_its_sign(
    weight: str, name: str, sign: int, draws: InjectedDraws
) -> None:
    found = []
    for value in (2.0, 3.0):
        model = tiny(MIXED, **{weight: value})
        draws.give(*given_noise(model))
        found.append(model(batch_with(MIXED, OBSERVED, 3)))
    total, _ = found[0].terms[name]
    if name != "log_likelihood":
        assert total > 0
    difference = (found[1].objective - found[0].objective).sum()
    assert float(difference) == pytest.approx(sign * float(total), rel=1e-5)


@torch.no_grad()
def test_the_entropy_is_that_of_independent_labels_and_largest_where_the_adversary_knows_nothing() -> None:
    model = tiny(MIXED)
    for parameter in model.adversary.parameters():
        parameter.zero_()
    losses = model(batch_with(MIXED, OBSERVED, 3))
    total, count = losses.terms["label_entropy"]
    assert float(total / count) == pytest.approx(math.log(2 * 3 * 2), rel=1e-5)
    total, count = losses.terms["labelled/adversary_log_likelihood"]
    assert count == 3
    # The rows have 3, 1 and 2 observed labels.
    assert float(total) == pytest.approx(-math.log(12) - math.log(2) - math.log(6), rel=1e-5)


@torch.no_grad()
def test_the_attribute_lies_away_from_the_origin_unless_asked_for() -> None:
    absent, present = torch.zeros(1), torch.ones(1)
    prose, formula = tiny(ONE), tiny(ONE, attribute_at_origin=True)
    for model, at_origin, away in ((prose, absent, present), (formula, present, absent)):
        for attributes, expected in ((at_origin, [0.0, 0.1]), (away, [3.0, 1.0])):
            for found, value in zip(model.subspace_prior(attributes), expected, strict=True):
                torch.testing.assert_close(found, torch.full((1, 2), value))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_labels_are_hidden_from_the_encoder_alone_and_in_training_alone(
    draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch, "rand", lambda *shape, **_: torch.tensor([0.2, 0.7, 0.9, 0.1, 0.4]).reshape(shape)
    )
    model = tiny(MIXED, hidden_labels=0.5)
    reference, values = CSVAEReference(model, MIXED, model.config), known_values(MIXED, OBSERVED)
    shown_labels: list[list[int | None]] = [[None] * 3, values[1], values[2], values[3], values[4]]
    noises = given_noise(model)
    for training, expected in ((True, shown_labels), (False, values)):
        model.train(training)
        draws.give(*noises)
        found = model(batch_with(MIXED, OBSERVED, 3)).objective
        rows = zip(IMAGES / 255, values, expected, *noises, strict=True)
        torch.testing.assert_close(found, torch.stack([reference.objectives(*row)[0] for row in rows]))


@pytest.mark.parametrize("any_label", [False, True])
def test_the_adversary_learns_from_observed_labels_alone(any_label: bool) -> None:
    model = tiny(MIXED, hidden_labels=0.5)
    observed = torch.zeros(1, 3, dtype=torch.bool)
    observed[0, -1] = any_label
    losses = model(batch_with(MIXED, observed, int(any_label), images=IMAGES[:1]))
    losses.total_objective.sum().backward()
    trains_adversary = any(bool((p.grad != 0).any()) for p in model.adversary.parameters())  # type: ignore[union-attr]
    assert trains_adversary == any_label


# what it can do


PRIOR = {0: (0.0, 0.1), 1: (3.0, 1.0)}
"""Mean and scale of an attribute's subspace where it is absent and where it is present."""
ATTRIBUTES = [(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)]
"""Label and value of each attribute of MIXED."""


KNOWN = KnownLabels(torch.where(OBSERVED, LABELS, 255).to(torch.uint8), OBSERVED)


def encoded(model: CSVAE, known: KnownLabels | None = KNOWN) -> tuple[Tensor, Tensor]:
    """Written out, the posterior means of ``w``, (image, attribute, dimension), and of ``z``."""
    reference = CSVAEReference(model, MIXED, model.config)
    values = [[None] * 3] * 5 if known is None else known_values(MIXED, OBSERVED)
    w = torch.stack(
        [reference.q_w(x / 255, shown_labels).mean for x, shown_labels in zip(IMAGES, values, strict=True)]  # type: ignore[arg-type]
    )
    return w, reference.q_z(IMAGES / 255).mean


def decoded(model: CSVAE, w: Tensor, z: Tensor) -> Tensor:
    """Straight from the decoder, which takes ``z`` first."""
    return torch.sigmoid(model.decoder(torch.cat([z, w.flatten(-2)], dim=-1))).unflatten(-1, (1, 2, 2))


def of_label(label: int) -> list[int]:
    return [place for place, (owner, _) in enumerate(ATTRIBUTES) if owner == label]


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_an_intervention_draws_the_labels_subspaces_and_keeps_all_others(
    label: int, draws: InjectedDraws
) -> None:
    model, places = tiny(MIXED), of_label(label)
    values, fresh = torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8), noise(3, 5, 2 * len(places), seed=4)
    draws.give(fresh)
    found = model.intervene(IMAGE, label, values, 3, KNOWN)
    before, z = encoded(model)
    for draw in range(3):
        w = before.clone()
        for row, value in enumerate(values.tolist()):
            for number, place in enumerate(places):
                mean, scale = PRIOR[value == ATTRIBUTES[place][1]]
                w[row, place] = mean + scale * fresh[draw, row, 2 * number : 2 * number + 2]
        torch.testing.assert_close(found[draw], decoded(model, w, z))


@pytest.mark.parametrize("label", [0, 1, 2])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_switching_draws_the_labels_subspaces_and_puts_all_others_at_the_origin(
    label: int, draws: InjectedDraws
) -> None:
    model, places = tiny(MIXED), of_label(label)
    values, fresh = torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8), noise(3, 5, 2 * len(places), seed=4)
    draws.give(fresh)
    found = model.switch_attribute(IMAGE, label, values, 3)
    _, z = encoded(model)
    for draw in range(3):
        w = torch.zeros(5, 5, 2)
        for row, value in enumerate(values.tolist()):
            for number, place in enumerate(places):
                mean, scale = PRIOR[value == ATTRIBUTES[place][1]]
                w[row, place] = mean + scale * fresh[draw, row, 2 * number : 2 * number + 2]
        torch.testing.assert_close(found[draw], decoded(model, w, z))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_switching_takes_the_mean_of_the_posterior_over_the_images_that_have_the_value() -> None:
    """``p_j`` of section 5.4, the images coming in batches; the absence of a binary label is the origin."""
    model = tiny(MIXED)
    batches = [
        (IMAGE[rows], KnownLabels(KNOWN.labels[rows], KNOWN.observed[rows]))
        for rows in (slice(0, 2), slice(2, 5))
    ]
    means = class_means(model, batches, MIXED.cardinalities[:1])
    w, z = encoded(model)
    # Label 0 is known of the first two images, and 1 of the first alone.
    torch.testing.assert_close(means.counts[0], torch.ones(2))
    points = model.switching_points(0, means)
    torch.testing.assert_close(points, torch.stack([torch.zeros(2), w[0, 0]]))
    found = model.switch_attribute(IMAGE, 0, torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8), points=points)
    switched = torch.zeros(5, 5, 2)
    switched[[0, 2], 0] = w[0, 0]
    torch.testing.assert_close(found[0], decoded(model, switched, z))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_switching_to_a_neutral_value_puts_all_subspaces_at_the_origin() -> None:
    """TFD's neutral expression: ``w = 0``, by its points as by the prior's centre."""
    model = tiny(NEUTRAL)
    batches = [
        (IMAGE[:3], KnownLabels.all_of(torch.tensor([[0, 0, 0], [1, 1, 1], [1, 2, 1]], dtype=torch.uint8)))
    ]
    points = model.switching_points(1, class_means(model, batches, NEUTRAL.cardinalities))
    assert (points[1] == 0).all()
    assert (points[[0, 2]] != 0).all()
    assert (model.centres(1)[1] == 0).all()
    found = model.switch_attribute(IMAGE, 1, torch.ones(5, dtype=torch.uint8), points=points)
    z = model.encode(IMAGE, KNOWN)[:, 8:]
    torch.testing.assert_close(found[0], decoded(model, torch.zeros(5, 4, 2), z))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_with_the_prior_turned_round_absent_attributes_are_away_from_the_origin() -> None:
    model = tiny(MIXED, attribute_at_origin=True)
    points = torch.tensor([[9.0, 9.0], [1.0, 2.0]])
    found = model.switch_attribute(IMAGE, 0, torch.tensor([1, 0, 1, 0, 0], dtype=torch.uint8), points=points)
    _, z = encoded(model)
    w = torch.full((5, 5, 2), 3.0)
    w[[0, 2], 0] = torch.tensor([1.0, 2.0])
    torch.testing.assert_close(found[0], decoded(model, w, z))


@pytest.mark.parametrize(("label", "start", "end"), [(0, 0, 1), (1, 2, 0), (2, 1, 0)])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_a_traversal_goes_from_the_centre_of_one_value_to_that_of_the_other(
    label: int, start: int, end: int
) -> None:
    model = tiny(MIXED)
    found = model.traverse(IMAGE, label, 4, start=start, end=end, labels=KNOWN)
    before, z = encoded(model)
    for step in range(4):
        w = before.clone()
        for place in of_label(label):
            own = ATTRIBUTES[place][1]
            w[:, place] = 3.0 * ((1 - step / 3) * (own == start) + step / 3 * (own == end))
        torch.testing.assert_close(found[step], decoded(model, w, z))


@pytest.mark.parametrize("known", [None, KNOWN])
@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_images_are_encoded_swapped_and_decoded_by_their_posterior_means(known: KnownLabels | None) -> None:
    model = tiny(MIXED, hidden_labels=0.1)
    w, z = encoded(model, known)
    torch.testing.assert_close(model.reconstruct(IMAGE, known), decoded(model, w, z))
    torch.testing.assert_close(model.characteristic_latents(IMAGE, known), w.flatten(1))
    assert [model.latents_of(label) for label in range(3)] == [slice(0, 2), slice(2, 8), slice(8, 10)]
    swapped = model.swap(IMAGE, IMAGE.flip(0), known, None)
    torch.testing.assert_close(swapped, decoded(model, w, z.flip(0)))


@pytest.mark.usefixtures("float64")
@torch.no_grad()
def test_generated_images_are_decoded_from_the_prior_of_their_labels(draws: InjectedDraws) -> None:
    model = tiny(MIXED)
    w_noise, z = noise(2, 5, 2, seed=1), noise(2, 2, seed=2)
    draws.give(w_noise, z)
    labels = [[1, 2, 0], [0, 0, 1]]
    found = model.generate(torch.tensor(labels, dtype=torch.uint8))
    w = torch.empty(2, 5, 2)
    for row, values in enumerate(labels):
        for place, (owner, own) in enumerate(ATTRIBUTES):
            mean, scale = PRIOR[values[owner] == own]
            w[row, place] = mean + scale * w_noise[row, place]
    torch.testing.assert_close(found, decoded(model, w, z))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"subspace_size": 0}, "csvae: subspace_size is 0; it must be at least 1"),
        ({"latent_size": 0}, "csvae: latent_size is 0; it must be at least 1"),
        ({"entropy_weight": -1.0}, "csvae: entropy_weight is -1.0; it must not be negative"),
        ({"kl_weight": -1.0}, "csvae: kl_weight is -1.0; it must not be negative"),
        ({"hidden_labels": 1.0}, "csvae: hidden_labels is 1.0; it is a share, 0 or more, below 1"),
        (
            {"adversary_learning_rate": 0.0},
            "csvae: adversary_learning_rate is 0.0; it must be above 0",
        ),
        ({"likelihood_scale": 0.0}, "csvae: likelihood_scale is 0.0; it must be above 0"),
    ],
)
def test_settings_without_a_meaning_are_refused(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"^{sentence}$"):
        CSVAEConfig(**options)
