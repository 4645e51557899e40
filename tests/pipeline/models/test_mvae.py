"""MVAE against exact log-likelihoods of tiny models, its product against multiplied densities, its formulas written out."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pipeline.models import interface
from pipeline.models.interface import DataSpec
from pipeline.models.mvae import MVAE, Experts, MVAEConfig
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, LABELS, MIXED, OBSERVED, batch_with, columns_of
from tests.pipeline.models.mvae_reference import MVAEReference, Values
from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.tiny_models import (
    CLASS_FREQUENCIES,
    IMAGES,
    assert_written_out,
    randomise,
)

pytestmark = pytest.mark.usefixtures("float64")

CLASS = DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=(CLASS_FREQUENCIES,))
DATA = {"binary": BINARY, "mixed": MIXED, "class": CLASS}


def columns(data: DataSpec) -> list[int]:
    """The columns of LABELS that are the labels of a data set."""
    return [1] if data is CLASS else columns_of(data)


def observed_of(data: DataSpec) -> Tensor:
    return OBSERVED[:, [0]] if data is CLASS else OBSERVED[:, columns(data)]


def values_of(data: DataSpec, row: int) -> Values:
    known = zip(LABELS[row, columns(data)].tolist(), observed_of(data)[row].tolist(), strict=True)
    return tuple(value if observed else None for value, observed in known)


def tiny(data: DataSpec, latent_size: int = 1, **options: Any) -> tuple[MVAE, MVAEReference]:
    settings = {"latent_size": latent_size, "hidden_width": 8, "label_width": 8, **options}
    model = MVAEConfig(**settings).build(data)
    randomise(model)
    with torch.no_grad():  # so that labels differ
        model.label_encoder[0].weight.mul_(3)  # type: ignore[operator]
    return model, MVAEReference(model, data.cardinalities, latent_size)


def density(z: Tensor, mean: float, scale: float) -> Tensor:
    return torch.exp(-(((z - mean) / scale) ** 2) / 2) / (scale * (2 * torch.pi) ** 0.5)


def test_a_product_of_experts_is_the_product_of_their_densities_and_the_priors() -> None:
    z, log_cell = grid(1, radius=9.0, points=4001)
    cell = torch.tensor(log_cell).exp()
    parameters = [(1.5, 0.7), (-0.4, 1.3), (2.0, 0.5)]
    product = density(z[:, 0], 0.0, 1.0)
    experts = []
    for mean, scale in parameters:
        product = product * density(z[:, 0], mean, scale)
        experts.append(Experts.of(torch.tensor([[mean]]), torch.tensor([[scale]])))
    product = product / (product.sum() * cell)
    of_product = [float(each) for each in (experts[0] * experts[1] * experts[2]).posterior()]
    torch.testing.assert_close(density(z[:, 0], *of_product), product, rtol=1e-8, atol=1e-12)
    nobody = Experts(torch.zeros(1, 1), torch.zeros(1, 1)).posterior()
    assert [float(each) for each in nobody] == [0, 1]


@pytest.mark.parametrize("row", [0, 1, 3])
@pytest.mark.parametrize("name", DATA)
@torch.no_grad()
def test_each_term_is_its_bound_in_expectation(
    name: str, row: int, draws: InjectedDraws, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interface, "term", lambda values: values)  # of each row, not their sum
    data = DATA[name]
    model, reference = tiny(data, label_weight=1.0)
    z_noise, weights = gaussian_grid(1)
    times = len(z_noise)
    y = values_of(data, row)
    labelled = times if any(value is not None for value in y) else 0
    draws.give(z_noise, z_noise[:labelled], z_noise[:labelled])
    losses = model(
        batch_with(
            data,
            observed_of(data)[row].expand(times, -1),
            labelled,
            images=IMAGES[row].expand(times, -1),
            labels=LABELS[row, columns(data)].expand(times, -1),
        )
    )
    x, nothing = IMAGES[row] / 255, [None] * len(y)
    bounds: dict[str, tuple[Tensor | None, Values]] = {"elbo": (x, nothing)}
    if labelled:
        bounds |= {"labelled/joint_elbo": (x, y), "labelled/label_elbo": (None, y)}
    total = 0.0
    for term, (image, labels) in bounds.items():
        found = float((weights * losses.terms[term]).sum())
        total += found
        assert found == pytest.approx(float(reference.elbo(image, labels)), abs=1e-5)
        gap = float(reference.log_evidence(image, labels)) - found
        assert gap == pytest.approx(float(reference.gap(image, labels)), abs=1e-5)
        assert gap > 0.002, term
    assert float((weights * losses.objective).sum()) == pytest.approx(total, abs=1e-9)


@pytest.mark.parametrize("latent_size", [1, 2])
@pytest.mark.parametrize("label_weight", [1.0, 10.0])
@pytest.mark.parametrize("name", DATA)
def test_objective_and_gradient_are_those_written_out(
    name: str, label_weight: float, latent_size: int, draws: InjectedDraws
) -> None:
    data = DATA[name]
    model, reference = tiny(data, latent_size, label_weight=label_weight)
    observed = observed_of(data)
    labelled = int(observed.any(1).sum())
    order = observed.any(1).to(torch.uint8).argsort(descending=True, stable=True).tolist()
    of_image, of_both, of_labels = (noise(5, latent_size, seed=seed) for seed in (1, 2, 3))
    draws.give(of_image, of_both[:labelled], of_labels[:labelled])
    labels = LABELS[order][:, columns(data)]
    found = model(batch_with(data, observed[order], labelled, images=IMAGES[order], labels=labels)).objective
    expected = torch.stack(
        [
            reference.estimate(
                IMAGES[row] / 255,
                values_of(data, row),
                (of_image[place], of_both[place], of_labels[place]),
                label_weight,
            )
            for place, row in enumerate(order)
        ]
    )
    assert_written_out(model, found, expected)
