"""M2 with several labels, some of them unobserved: bounds against exact log-likelihoods, enumeration against brute force."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.interface import DataSpec
from pipeline.models.m2 import M2, M2Config
from pipeline.models.parts.label_codes import log_likelihood_of
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import (
    BINARY,
    LABELS,
    MIXED,
    OBSERVED,
    batch_with,
    columns_of,
    known_values,
)
from tests.pipeline.models.m2_reference import M2Reference, Values
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.tiny_models import IMAGES, assert_written_out, gradients, randomise, tiny_m2

pytestmark = pytest.mark.usefixtures("float64")

DATA = {"binary": BINARY, "mixed": MIXED}
COMBINATIONS = {"binary": 4, "mixed": 12}


def tiny(data: DataSpec, latent_size: int = 1, **options: Any) -> tuple[M2, M2Reference]:
    settings = {"latent_size": latent_size, "hidden_width": 8, "classifier_weight": 0.0, **options}
    model = tiny_m2(M2Config(**settings), data)
    return model, M2Reference(model, data.label_frequencies, latent_size)


def observed_of(data: DataSpec) -> Tensor:
    return OBSERVED[:, columns_of(data)]


def values_of(data: DataSpec, row: int) -> Values:
    """The labels of a row of LABELS, None where OBSERVED says that they are not."""
    return known_values(data, observed_of(data))[row]


@pytest.mark.parametrize("row", [0, 1, 2, 3])
@pytest.mark.parametrize("name", DATA)
@torch.no_grad()
def test_objective_is_its_bound_in_expectation_for_any_observed_labels(
    name: str, row: int, draws: InjectedDraws
) -> None:
    data = DATA[name]
    model, reference = tiny(data)
    z_noise, weights = gaussian_grid(1)
    times = len(z_noise)
    labelled = times if observed_of(data)[row].any() else 0
    draws.give(torch.zeros(0, 1), z_noise[:, None].expand(-1, COMBINATIONS[name], -1))
    batch = batch_with(
        data,
        observed_of(data)[row].expand(times, -1),
        labelled,
        images=IMAGES[row].expand(times, -1),
        labels=LABELS[row, columns_of(data)].expand(times, -1),
    )
    found = float((weights * model(batch).objective).sum())
    x, y = IMAGES[row] / 255, values_of(data, row)
    assert found == pytest.approx(float(reference.bound(x, y)), abs=1e-5)
    gap = float(reference.log_p_xy(x, y)) - found
    assert gap == pytest.approx(float(reference.gap(x, y)), abs=1e-5)
    assert gap > 0.01


@pytest.mark.parametrize("latent_size", [1, 2])
@pytest.mark.parametrize("name", DATA)
def test_enumeration_and_its_gradient_are_those_of_brute_force(
    name: str, latent_size: int, draws: InjectedDraws
) -> None:
    data = DATA[name]
    model, reference = tiny(data, latent_size, classifier_weight=3.0)
    given = noise(5, COMBINATIONS[name], latent_size, seed=1)
    draws.give(torch.zeros(0, latent_size), given)
    found = model(batch_with(data, observed_of(data), 3)).objective
    expected = torch.stack(
        [reference.estimate(IMAGES[row] / 255, values_of(data, row), given[row], 3.0) for row in range(5)]
    )
    assert_written_out(model, found, expected)


@pytest.mark.parametrize("name", DATA)
@torch.no_grad()
def test_objectives_average_below_the_exact_log_likelihoods_with_torchs_own_draws(name: str) -> None:
    data = DATA[name]
    for estimator in ("enumerated", "score_function", "straight_through"):
        model, reference = tiny(data, label_estimator=estimator)
        torch.manual_seed(3)
        for row in (0, 2, 3):
            labels, observed = LABELS[row, columns_of(data)], observed_of(data)[row]
            batch = batch_with(
                data,
                observed.expand(20_000, -1),
                20_000 if observed.any() else 0,
                images=IMAGES[row].expand(20_000, -1),
                labels=labels.expand(20_000, -1),
            )
            objective = model(batch).objective
            x, y = IMAGES[row] / 255, values_of(data, row)
            error = float(objective.std()) / 20_000**0.5
            assert error < 0.01
            assert float(objective.mean()) + 4 * error < float(reference.log_p_xy(x, y))
            assert float(objective.mean()) == pytest.approx(float(reference.bound(x, y)), abs=5 * error)


@torch.no_grad()
def test_what_is_all_observed_needs_no_enumeration(draws: InjectedDraws) -> None:
    """A data set whose examples never lack single labels is told apart, and gives the same numbers for less."""
    whole = DataSpec(
        image_shape=MIXED.image_shape,
        cardinalities=MIXED.cardinalities,
        label_frequencies=MIXED.label_frequencies,
        partly_observed=False,
    )
    (model, _), (partly, _) = tiny(whole), tiny(MIXED)
    observed = (torch.arange(5) < 3)[:, None].expand(-1, 3)
    given = noise(5, 1, 1, seed=1)
    draws.give(given[:3, 0], given[3:].expand(-1, 12, -1))
    found = model(batch_with(whole, observed, 3))
    draws.give(torch.zeros(0, 1), given.expand(-1, 12, -1))
    expected = partly(batch_with(MIXED, observed, 3))
    torch.testing.assert_close(found.objective, expected.objective)
    torch.testing.assert_close(found.terms, expected.terms)


def objective_of(model: M2, data: DataSpec, draws: InjectedDraws, rows: list[int]) -> Tensor:
    """Of rows of IMAGES, each with noise that is its own, and as much observed as OBSERVED says."""
    observed = observed_of(data)[rows]
    labelled = int(observed.any(1).sum())
    draws.give(
        torch.zeros(0, 1), noise(5, COMBINATIONS["mixed" if data is MIXED else "binary"], 1, seed=1)[rows]
    )
    labels = LABELS[rows][:, columns_of(data)]
    return model(batch_with(data, observed, labelled, images=IMAGES[rows], labels=labels)).objective


@pytest.mark.parametrize("name", DATA)
@torch.no_grad()
def test_no_row_reads_another_one(name: str, draws: InjectedDraws) -> None:
    """A label of shape (B, 1) under a density of shape (B,) would make (B, B), and a sum over it would hide that."""
    data = DATA[name]
    model, _ = tiny(data, classifier_weight=3.0)
    together = objective_of(model, data, draws, [0, 1, 2, 3, 4])
    assert together.shape == (5,)
    alone = [objective_of(model, data, draws, [row]) for row in range(5)]
    torch.testing.assert_close(together, torch.cat(alone))
    permuted = objective_of(model, data, draws, [2, 0, 1, 4, 3])
    torch.testing.assert_close(permuted, together[[2, 0, 1, 4, 3]])


@pytest.mark.usefixtures("no_type_checks")
def test_labels_of_another_shape_than_their_probabilities_are_refused() -> None:
    log_q = noise(4, 2, 3, seed=0).log_softmax(-1)
    with pytest.raises(ValueError, match=r"classes of shape \(4, 1\) for rows \(4, 2\)"):
        log_likelihood_of(log_q, torch.zeros(4, 1, dtype=torch.uint8), torch.ones(4, 1, dtype=torch.bool))


@torch.no_grad()
def test_the_prior_of_a_label_counts_once_and_as_the_frequencies_that_it_is_given_as(
    draws: InjectedDraws,
) -> None:
    """Exactly ``log p'(y) − log p(y)`` more for another prior; passed through a sigmoid once more it would be less."""
    other = DataSpec(image_shape=(1, 2, 2), cardinalities=(2, 2), label_frequencies=((0.1, 0.9), (0.8, 0.2)))
    (model, reference), (changed, _) = tiny(BINARY), tiny(other)
    observed = torch.tensor([[True, True], [True, False], [False, False]])
    found = []
    for each in (model, changed):
        draws.give(torch.zeros(0, 1), noise(3, 4, 1, seed=1))
        found.append(each(batch_with(BINARY, observed, 2, images=IMAGES[:3])).objective)
    log_ratio = torch.tensor(other.label_frequencies).log() - torch.tensor(BINARY.label_frequencies).log()
    for row in range(3):
        expected = 0.0
        for label, value in enumerate(LABELS[row, [0, 2]].tolist()):
            if observed[row, label]:
                expected += float(log_ratio[label, value])
            else:
                expected += float((reference.q_label(IMAGES[row] / 255, label) * log_ratio[label]).sum())
        assert float(found[1][row] - found[0][row]) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("estimator", ["enumerated", "score_function", "straight_through"])
def test_the_order_of_labels_does_not_matter(estimator: str, draws: InjectedDraws) -> None:
    order = [2, 0, 1]  # new label k is what label order[k] was: binary, binary, of three values
    places = [5, 6, 0, 1, 2, 3, 4]  # and so for the values, side by side
    permuted_data = DataSpec(
        image_shape=(1, 2, 2),
        cardinalities=(2, 2, 3),
        label_frequencies=tuple(MIXED.label_frequencies[label] for label in order),
    )
    model, _ = tiny(MIXED, label_estimator=estimator, classifier_weight=3.0)
    permuted = M2Config(
        latent_size=1, hidden_width=8, label_estimator=model.estimator, classifier_weight=3.0
    ).build(permuted_data)
    randomise(permuted, seed=1)
    weights = dict(model.named_parameters())
    with torch.no_grad():
        for name, parameter in permuted.named_parameters():
            value: Tensor = weights[name]
            if name.startswith("classifier.4"):
                value = value[places]
            elif name in ("encoder.weight", "decoder.weight"):
                value = torch.cat([value[:, :-7], value[:, -7:][:, places]], dim=1)
            parameter.copy_(value)
    sampled = (
        torch.tensor([[1, 2, 0], [0, 1, 1], [1, 0, 1], [1, 2, 1], [0, 1, 0]]),
        torch.tensor([[1, 2, 0], [0, 0, 0], [0, 0, 1], [0, 0, 1], [1, 2, 1]]),
    )
    found = []
    for each, columns, data in ((model, [0, 1, 2], MIXED), (permuted, order, permuted_data)):
        samples = {"enumerated": 0, "score_function": 2, "straight_through": 1}[estimator]
        of_images = noise(5, 1, seed=1)
        draws.give(
            torch.zeros(0, 1),
            of_images[:, None].expand(-1, 12, -1) if estimator == "enumerated" else of_images,
            classes=tuple(labels[:, columns] for labels in sampled[:samples]),
        )
        batch = batch_with(data, OBSERVED[:, columns], 3, labels=LABELS[:, columns])
        found.append(each(batch).objective)
    torch.testing.assert_close(*found)
    first, second = (
        gradients(objective.sum(), each) for objective, each in zip(found, (model, permuted), strict=True)
    )
    torch.testing.assert_close(first["encoder.rest.1.0.weight"], second["encoder.rest.1.0.weight"])
    torch.testing.assert_close(first["classifier.0.weight"], second["classifier.0.weight"])
    torch.testing.assert_close(first["classifier.4.bias"][places], second["classifier.4.bias"])
    image = batch.image
    with torch.no_grad():
        for label, old in enumerate(order):
            torch.testing.assert_close(permuted.classify(image)[label], model.classify(image)[old])
            for switched in range(MIXED.cardinalities[old]):
                values = torch.full((5,), switched, dtype=torch.uint8)
                pictures = permuted.intervene(image, label, values)
                torch.testing.assert_close(pictures, model.intervene(image, old, values))
