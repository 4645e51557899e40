"""An example's objective is its own: whatever stands beside it, in whatever order, with or without labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.interface import DataSpec, Losses
from pipeline.models.m2 import M2Config
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.tiny_models import (
    CLASS_FREQUENCIES,
    IMAGES,
    LABELS,
    TINY,
    batch_of,
    randomise,
)

SMALL: dict[str, Any] = {
    "characteristic_size": 2,
    "style_size": 1,
    "hidden_width": 8,
    "predictive_samples": 6,
}
CONFIGS: dict[str, CCVAEConfig | M2Config] = {
    "ccvae": CCVAEConfig(**SMALL),
    "ccvae as printed": CCVAEConfig(
        label_marginal="exact",
        weight_gradient="as_printed",
        bounded_weight=False,
        weight_limit=None,
        **SMALL,
    ),
    "ccvae truncated": CCVAEConfig(weight_limit=1.0, **SMALL),
    "ccvae self-normalised": replace(CCVAEConfig.exact(), **SMALL),
    "m2": M2Config(latent_size=2, hidden_width=8),
}
SAMPLED = CCVAEConfig(label_marginal="jensen_sampled", **SMALL)


@pytest.fixture(params=CONFIGS)
def config(request: pytest.FixtureRequest) -> CCVAEConfig | M2Config:
    return CONFIGS[request.param]


def tiny(config: CCVAEConfig | M2Config, data: DataSpec = TINY) -> nn.Module:
    model = config.build(data)
    randomise(model)
    return model


def losses(
    model: nn.Module, config: CCVAEConfig | M2Config, draws: InjectedDraws, rows: list[int], labelled: int
) -> Losses:
    """Losses of rows of ``IMAGES``, each with noise that is its own; the first ``labelled`` with their label."""
    known, unknown = rows[:labelled], rows[labelled:]
    if isinstance(config, M2Config):
        draws.give(noise(5, 2, seed=1)[known], noise(5, 3, 2, seed=2)[unknown])
    else:
        z_noise = noise(config.importance_samples, 5, 3, seed=1)[:, rows]
        draws.give(z_noise, noise(6, 5, 2, seed=2)[:, known])
    return model(batch_of(IMAGES[rows], LABELS[rows], labelled))


def objective(*arguments: Any) -> Tensor:
    return losses(*arguments).objective.detach()


@pytest.mark.usefixtures("float64")
def test_objective_does_not_depend_on_the_rest_of_the_batch(
    config: CCVAEConfig | M2Config, draws: InjectedDraws
) -> None:
    model = tiny(config)
    together = objective(model, config, draws, [0, 1, 2, 3, 4], 3)
    alone = [objective(model, config, draws, [row], labelled) for row, labelled in enumerate([1, 1, 1, 0, 0])]
    torch.testing.assert_close(together, torch.cat(alone))
    other_company = objective(model, config, draws, [4, 2, 3], 2)
    torch.testing.assert_close(other_company[1], together[2])
    torch.testing.assert_close(other_company[2], together[3])


@pytest.mark.usefixtures("float64")
def test_permuted_rows_permute_the_objective(config: CCVAEConfig | M2Config, draws: InjectedDraws) -> None:
    model = tiny(config)
    given = objective(model, config, draws, [0, 1, 2, 3, 4], 3)
    permuted = objective(model, config, draws, [2, 0, 1, 4, 3], 3)
    torch.testing.assert_close(permuted, given[[2, 0, 1, 4, 3]])
    assert given.unique().numel() == 5


@pytest.mark.usefixtures("float64")
def test_the_names_of_classes_do_not_matter(config: CCVAEConfig | M2Config, draws: InjectedDraws) -> None:
    model = tiny(config)
    order = torch.tensor([2, 0, 1])  # new class k is what class order[k] was
    new_name = order.argsort()
    frequencies = tuple(CLASS_FREQUENCIES[k] for k in order)
    renamed = config.build(
        DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=(frequencies,))
    )
    weights = {name: value.clone() for name, value in model.state_dict().items()}
    weights = {name: value for name, value in weights.items() if "prior" not in name.split(".")[-1]}
    for name, value in weights.items():
        network = name.split(".")[0]
        if network == "classifier":
            last = max(int(key.split(".")[-2]) for key in weights if key.startswith("classifier."))
            weights[name] = value[order] if name.split(".")[-2] == str(last) else value
        elif name == "conditional_prior.blocks.0.network.0.weight":
            weights[name] = value[:, order]
        elif name in ("encoder.weight", "decoder.weight"):  # M2's, over (input, class)
            weights[name] = torch.cat([value[:, :-3], value[:, -3:][:, order]], dim=1)
        else:
            assert network in ("encoder", "decoder", "conditional_prior"), name
    renamed.load_state_dict(weights, strict=False)

    draws.give(*same_noise(config))
    given = model(batch_of(IMAGES, LABELS, 3)).objective
    first, second = same_noise(config)
    draws.give(first, second[:, order] if isinstance(config, M2Config) else second)
    torch.testing.assert_close(renamed(batch_of(IMAGES, new_name[LABELS], 3)).objective, given)
    draws.give(*same_noise(config))
    with_the_old_names = renamed(batch_of(IMAGES, LABELS, 3)).objective
    assert ((with_the_old_names - given).abs() > 0.01)[:3].all()


def same_noise(config: CCVAEConfig | M2Config) -> tuple[Tensor, Tensor]:
    if isinstance(config, M2Config):
        return noise(3, 2, seed=1), noise(2, 3, 2, seed=2)
    return noise(config.importance_samples, 5, 3, seed=1), noise(6, 3, 2, seed=2)


@pytest.mark.usefixtures("float64")
def test_labels_of_unlabelled_rows_are_not_read(config: CCVAEConfig | M2Config, draws: InjectedDraws) -> None:
    model = tiny(config)
    found = []
    for labels in (LABELS, torch.tensor([2, 0, 1, 255, 255])):
        draws.give(*same_noise(config))
        found.append(model(batch_of(IMAGES, labels, 3)).objective)
    torch.testing.assert_close(*found, rtol=0, atol=0)


@pytest.mark.usefixtures("float64")
def test_the_class_prior_counts_once_in_a_labelled_objective(
    config: CCVAEConfig | M2Config, draws: InjectedDraws
) -> None:
    """Exactly ``log p'(y) − log p(y)`` more for another prior: used once, as the frequencies that it is given as."""
    other = (0.1, 0.2, 0.7)
    found = []
    for frequencies in (CLASS_FREQUENCIES, other):
        shape = DataSpec(image_shape=(1, 2, 2), cardinalities=(3,), label_frequencies=(frequencies,))
        found.append(objective(tiny(config, shape), config, draws, [0, 1, 2], 3))
    log_ratio = (torch.tensor(other) / torch.tensor(CLASS_FREQUENCIES)).log()
    torch.testing.assert_close(found[1] - found[0], log_ratio[LABELS[:3]])


@pytest.mark.parametrize("labelled", [0, 1, 3, 5])
@pytest.mark.parametrize("name", [*CONFIGS, "ccvae sampled"])
def test_every_parameter_gets_a_gradient_whatever_is_labelled(name: str, labelled: int) -> None:
    """DistributedDataParallel waits for all of them, and one rank may have no labelled row."""
    config = (CONFIGS | {"ccvae sampled": SAMPLED})[name]
    model = tiny(config)
    torch.manual_seed(0)
    found = model(batch_of(IMAGES, LABELS, labelled))
    assert found.objective.shape == (5,)
    assert found.objective.dtype == torch.float32
    assert found.objective.isfinite().all()
    found.objective.sum().backward()
    for parameter_name, parameter in model.named_parameters():
        assert parameter.grad is not None, parameter_name
        assert parameter.grad.isfinite().all(), parameter_name


@pytest.mark.parametrize("labelled", [0, 1])
@pytest.mark.parametrize("name", [*CONFIGS, "ccvae sampled"])
def test_a_batch_of_one(name: str, labelled: int) -> None:
    model = tiny((CONFIGS | {"ccvae sampled": SAMPLED})[name])
    found = model(batch_of(IMAGES[:1], LABELS[:1], labelled))
    assert found.objective.shape == (1,)
    assert found.objective.isfinite().all()


@pytest.mark.parametrize("labelled", [0, 3, 5])
@pytest.mark.usefixtures("float64")
def test_recorded_terms_are_sums_with_counts_that_hide_no_row(
    config: CCVAEConfig | M2Config, labelled: int, draws: InjectedDraws
) -> None:
    found = losses(tiny(config), config, draws, [0, 1, 2, 3, 4], labelled)
    torch.testing.assert_close(found.terms["objective"][0], found.objective.sum().detach().float())
    counts = {"labelled": labelled, "unlabelled": 5 - labelled}
    for name, (total, count) in found.terms.items():
        assert count == counts.get(name.split("/")[0], 5), name
        assert total.isfinite(), name
        assert not total.requires_grad, name
        if count == 0:
            assert total == 0, name


# precision


def both_precisions(
    config: CCVAEConfig | M2Config, draws: InjectedDraws, narrow: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Objective (5,) and gradient as one vector, in float64 and in float32 (under bf16 autocast where ``narrow``)."""
    results = []
    for dtype in (torch.float64, torch.float32):
        torch.set_default_dtype(dtype)
        try:
            model = tiny(config)
            with torch.autocast("cpu", torch.bfloat16, enabled=narrow and dtype == torch.float32):
                found = losses(model, config, draws, [0, 1, 2, 3, 4], 3).objective
            assert found.dtype == dtype
            found.sum().backward()
            gradient = [parameter.grad.flatten() for parameter in model.parameters()]  # type: ignore[union-attr]
        finally:
            torch.set_default_dtype(torch.float32)
        results += [found.detach().double(), torch.cat(gradient).double()]
    return results[0], results[1], results[2], results[3]


def test_float32_is_as_close_to_float64_as_rounding_allows(
    config: CCVAEConfig | M2Config, draws: InjectedDraws
) -> None:
    exact, exact_gradient, found, gradient = both_precisions(config, draws, narrow=False)
    assert (found - exact).abs().max() < 1e-5
    assert (gradient - exact_gradient).norm() < 2e-6 * exact_gradient.norm()


def test_bf16_autocast_stays_within_a_hundredth_of_the_objective(
    config: CCVAEConfig | M2Config, draws: InjectedDraws
) -> None:
    exact, exact_gradient, found, gradient = both_precisions(config, draws, narrow=True)
    assert ((found - exact).abs() < 0.01 * (1 + exact.abs())).all()
    assert (gradient - exact_gradient).norm() < 0.02 * exact_gradient.norm()
