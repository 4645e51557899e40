"""M2's estimators that sample labels: the score function is unbiased to the last digit, straight-through is what it says."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models.interface import DataSpec
from pipeline.models.m2 import M2, M2Config
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, LABELS, MIXED, batch_with, columns_of
from tests.pipeline.models.m2_reference import M2Reference, Values
from tests.pipeline.models.tiny_models import IMAGES, gradients, part, tiny_m2

pytestmark = pytest.mark.usefixtures("float64")

X = IMAGES[0].double() / 255
NETWORKS = ("classifier", "encoder", "decoder")
CASES = [(BINARY, (None, None)), (BINARY, (1, None)), (MIXED, (None, None, None)), (MIXED, (None, 2, None))]


def tiny(data: DataSpec, estimator: Any, weight: float = 0.0) -> tuple[M2, M2Reference]:
    config = M2Config(latent_size=1, hidden_width=8, classifier_weight=weight, label_estimator=estimator)
    model = tiny_m2(config, data)
    return model, M2Reference(model, data.label_frequencies, 1)


def objectives(model: M2, data: DataSpec, y: Values, times: int) -> Tensor:
    """Objectives of the first image in many rows, with its labels in ``y`` observed."""
    observed = torch.tensor([value is not None for value in y])
    batch = batch_with(
        data,
        observed.expand(times, -1),
        times if observed.any() else 0,
        images=IMAGES[0].expand(times, -1),
        labels=LABELS[0, columns_of(data)].expand(times, -1),
    )
    return model(batch).objective


@pytest.mark.parametrize(("data", "y"), CASES)
def test_over_all_pairs_of_samples_the_score_function_is_enumeration(
    data: DataSpec, y: Values, draws: InjectedDraws
) -> None:
    model, reference = tiny(data, "score_function", weight=3.0)
    of_z = noise(1, 1, seed=1)
    each = [values for _, values in reference.completions(y)]
    q = [float(reference.log_q_completion(X, y, values).detach().exp()) for values in each]
    pairs = list(product(range(len(each)), repeat=2))
    first, second = (torch.tensor([each[pair[place]] for pair in pairs]) for place in (0, 1))
    draws.give(torch.zeros(0, 1), of_z.expand(len(pairs), -1), classes=(first, second))
    probability = torch.tensor([q[i] * q[j] for i, j in pairs])
    found = (probability * objectives(model, data, y, len(pairs))).sum()
    expected = reference.estimate(X, y, of_z.expand(len(reference.combinations), -1), 3.0)
    assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-11)
    found_gradient = gradients(found, model)
    for name, gradient in gradients(expected, model).items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(found_gradient[name], gradient, rtol=1e-9, atol=1e-10, msg=name)


def gradient_with_its_error(model: M2, seed: int) -> tuple[Tensor, Tensor]:
    """Mean over 20,000 of torch's own draws for an image without labels, and its standard error."""
    torch.manual_seed(seed)
    means = torch.stack(
        [
            part(gradients(objectives(model, BINARY, (None, None), 1000).mean(), model), *NETWORKS)
            for _ in range(20)
        ]
    )
    return means.mean(0), means.std(0) / len(means) ** 0.5


@pytest.mark.parametrize("seed", [0, 1])
def test_the_score_functions_gradient_is_that_of_enumeration_on_average_over_torchs_own_draws(
    seed: int,
) -> None:
    """Without a score term the classifier's would be that of the labels' divergence from their prior alone."""
    model, reference = tiny(BINARY, "score_function")
    found, error = gradient_with_its_error(model, seed)
    expected, expected_error = gradient_with_its_error(tiny(BINARY, "enumerated")[0], seed + 10)
    deviation = (error.square() + expected_error.square()).sqrt()
    assert ((found - expected).abs() < 5 * deviation + 1e-9).all()
    label_kl = torch.zeros(())
    for label in (0, 1):
        q = reference.q_label(X, label)
        label_kl = label_kl + (q * (q / torch.tensor(BINARY.label_frequencies[label])).log()).sum()
    without_score = part(gradients(-label_kl, model), "classifier")
    missing = (expected[: len(without_score)] - without_score).norm()
    assert missing > 20 * deviation[: len(without_score)].norm()


def test_a_likelihood_that_is_higher_everywhere_changes_no_draw_of_the_score_functions_gradient(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The baseline: without it the classifier's noise would be as large as the likelihood, thousands of nats."""
    model, _ = tiny(MIXED, "score_function")
    found = []
    for more in (0.0, 5000.0):
        density = model.pixel_density
        monkeypatch.setattr(model, "pixel_density", lambda *given, m=more, d=density: d(*given) + m)
        torch.manual_seed(0)
        value = objectives(model, MIXED, (None, None, 0), 7).sum()
        found.append((float(value.detach()), gradients(value, model)))
        monkeypatch.setattr(model, "pixel_density", density)
    assert found[1][0] - found[0][0] == pytest.approx(7 * 5000, rel=1e-9)
    for name, gradient in found[0][1].items():
        torch.testing.assert_close(found[1][1][name], gradient, rtol=1e-8, atol=1e-9, msg=name)


@pytest.mark.parametrize(("data", "y"), CASES)
def test_straight_through_passes_the_gradient_of_the_code_on_to_the_probabilities(
    data: DataSpec, y: Values, draws: InjectedDraws
) -> None:
    model, reference = tiny(data, "straight_through", weight=3.0)
    of_z = noise(1, 1, seed=1)
    _, sampled = reference.completions(y)[1]
    draws.give(torch.zeros(0, 1), of_z, classes=(torch.tensor([sampled]),))
    found = objectives(model, data, y, 1).sum()

    code = reference.code(sampled).requires_grad_()
    estimate = reference.reconstruction_estimate(X, code, of_z[0])
    (through_code,) = torch.autograd.grad(estimate, code, retain_graph=True)
    expected = estimate + 3 * reference.log_q_y(X, y)
    start = 0
    for label, value in enumerate(y):
        frequencies = torch.tensor(data.label_frequencies[label])
        own = through_code[start : start + len(frequencies)]
        start += len(frequencies)
        if value is None:
            q = reference.q_label(X, label)
            expected = expected - (q * (q / frequencies).log()).sum() + (own * (q - q.detach())).sum()
        else:
            expected = expected + frequencies[value].log()
    assert float(found.detach()) == pytest.approx(float(expected.detach()), abs=1e-11)
    found_gradient = gradients(found, model)
    for name, gradient in gradients(expected, model).items():
        assert gradient.abs().max() > 0, name
        torch.testing.assert_close(found_gradient[name], gradient, rtol=1e-9, atol=1e-10, msg=name)


@pytest.mark.parametrize("estimator", ["enumerated", "score_function", "straight_through"])
def test_observed_labels_reach_the_classifier_through_its_weighted_term_alone(estimator: str) -> None:
    model, reference = tiny(MIXED, estimator, weight=7.0)
    torch.manual_seed(0)
    found = gradients(objectives(model, MIXED, (1, 2, 0), 1).sum(), model)
    expected = gradients(7 * reference.log_q_y(X, (1, 2, 0)), model)
    torch.testing.assert_close(part(found, "classifier"), part(expected, "classifier"))
