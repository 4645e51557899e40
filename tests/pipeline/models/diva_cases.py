"""Tiny DIVAs, and their objective written out from the formula, slowly, for one image at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from pipeline.models.ccvae import CCVAEConfig
from pipeline.models.diva import Diva, DivaConfig
from pipeline.models.interface import DataSpec
from tests.pipeline.models.ccvae_reference import CCVAEReference, Exact, Values
from tests.pipeline.models.injected_draws import InjectedDraws, noise
from tests.pipeline.models.labels_cases import BINARY, batch_with, known_values
from tests.pipeline.models.quadrature import gaussian_grid
from tests.pipeline.models.reference_densities import log_normal
from tests.pipeline.models.tiny_models import IMAGES, randomise

PARTLY_OBSERVED: list[Values] = [(1, 0), (0, 0), (1, None), (None, 0), (None, None)]
"""Values of the two labels of BINARY."""
TOLERANCE = 2e-3
"""Of the grids over two latents."""


def tiny(data: DataSpec, **options: Any) -> Diva:
    settings = {"characteristic_size": 2, "style_size": 1, "hidden_width": 8, **options}
    model = DivaConfig(**settings).build(data)
    randomise(model)
    return model


class DivaReference(CCVAEReference):
    """The densities of a DIVA with Bernoulli pixels; binary labels have one latent."""

    def __init__(self, model: Diva, data: DataSpec, *, size: int = 2) -> None:
        config = CCVAEConfig(characteristic_size=size, label_marginal=model.label_marginal)
        super().__init__(model, data, config)

    def objective(
        self,
        x: Tensor,
        y: Values,
        z_noise: Tensor,
        *,
        beta: float,
        alphas: Sequence[float],
        drawn: Sequence[int],
        baseline: Sequence[int],
    ) -> Tensor:
        """The objective of an image at one sample; ``alphas`` and sampled values per label of the data set."""
        mean, scale = self.posterior(x)
        z = mean + scale * z_noise
        style = slice(self.characteristic.stop, None)
        kl = divergence(mean[style], scale[style], torch.zeros(()), torch.ones(()))
        value = self.log_p_x(x, z)
        for i in self.labels:
            own, known = self.places[i], y[i]
            if known is not None:
                kl = kl + divergence(mean[own], scale[own], *self.prior(i, known))
                value = value + alphas[i] * self.log_q_y(i, z, known)
            else:
                log_q = log_normal(z[own], mean[own], scale[own]).sum()
                kl = kl + log_q - self.marginal(i, z, drawn[i], baseline[i])
        return value - beta * kl


def divergence(mean: Tensor, scale: Tensor, prior_mean: Tensor, prior_scale: Tensor) -> Tensor:
    """``KL`` between diagonal Gaussians as the integral of the difference of their log densities gives it."""
    cross_entropy = torch.log(prior_scale) + (scale**2 + (mean - prior_mean) ** 2) / (2 * prior_scale**2)
    return (cross_entropy - torch.log(scale) - 0.5).sum()


def give_draws(model: Diva, draws: InjectedDraws, rows: int = 5) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Have the next objective of ``rows`` rows use fixed draws; returns noise, and per label drawn values and baselines."""
    blocks = model.layout.blocks
    z_noise = noise(rows, model.layout.latents + model.style_size, seed=1)
    drawn, baseline = (
        [
            torch.randint(
                block.cardinality,
                (rows, len(block.labels)),
                generator=torch.Generator().manual_seed(seed + number),
            )
            for number, block in enumerate(blocks)
        ]
        for seed in (3, 30)
    )
    sampled = model.label_marginal == "jensen_sampled"
    in_turn = [each for pair in zip(drawn, baseline, strict=True) for each in pair]
    draws.give(z_noise, classes=tuple(in_turn) if sampled else ())
    order = [label for block in blocks for label in block.labels]
    per_label = [
        [torch.cat(values, dim=-1)[:, order.index(label)] for label in range(len(order))]
        for values in (drawn, baseline)
    ]
    return z_noise, per_label[0], per_label[1]


def written_out(
    reference: DivaReference,
    data: DataSpec,
    given: tuple[Tensor, list[Tensor], list[Tensor]],
    observed: Tensor,
    *,
    beta: float,
    alphas: Sequence[float],
) -> Tensor:
    """The objective of each row of IMAGES with those of its LABELS that are observed."""
    z_noise, drawn, baseline = given
    found = []
    for row, values in enumerate(known_values(data, observed)):
        found.append(
            reference.objective(
                IMAGES[row] / 255,
                values,
                z_noise[row],
                beta=beta,
                alphas=alphas,
                drawn=[int(of_label[row]) for of_label in drawn],
                baseline=[int(of_label[row]) for of_label in baseline],
            )
        )
    return torch.stack(found)


def expected_objective(model: Diva, draws: InjectedDraws, image: Tensor, y: Values) -> float:
    """Expectation of the objective of an image with BINARY's labels over two latents, without sampling error."""
    standard, weights = gaussian_grid(2)
    rows = len(standard)
    labels = torch.tensor([[value or 0 for value in y]]).expand(rows, -1)
    observed = torch.tensor([[value is not None for value in y]]).expand(rows, -1)
    labelled = rows if any(value is not None for value in y) else 0
    draws.give(standard)
    batch = batch_with(BINARY, observed, labelled, images=image.expand(rows, -1), labels=labels)
    return float((weights * model(batch).objective).sum())


def likelihood_and_gap(reference: DivaReference, image: Tensor, y: Values) -> tuple[float, float]:
    """``log p(x | y_O)``, and by how much its bound misses it.

    That is ``KL(q(z|x) ‖ p(z|x,y_O))``, and where labels are imputed the divergence over ``(z, y_U)``.
    """
    exact = Exact(reference, image / 255, y)
    z, log_cell = exact.everywhere, exact.log_cell
    log_q_z = reference.log_q_z(z, image / 255)
    if reference.config.label_marginal == "exact":
        log_q, log_p = log_q_z, exact.log_joint_of_observed(z)
    else:
        unknown = [i for i in reference.labels if y[i] is None]
        each_q, each_p = [], []
        for values in exact.completions:
            imputed = [reference.log_q_y(i, z, int(values[i] or 0)) for i in unknown]
            each_q.append(torch.stack([log_q_z, *imputed]).sum(0))
            each_p.append(exact.log_joint(z, values))
        log_q, log_p = torch.cat(each_q), torch.cat(each_p)
    log_p = log_p - (log_p + log_cell).logsumexp(0)
    gap = float(((log_q + log_cell).exp() * (log_q - log_p)).sum())
    return exact.log_likelihood() - exact.log_p_y(), gap
