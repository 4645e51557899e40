"""MVAE written out from its formulas (Wu & Goodman 2018, sections 2.2 and 2.3), slowly, for one image at a time.

Nothing here comes from the code under test but the weights of its networks. ``y`` has the value of each label, None where it
is not observed; an image that is None is not observed either.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.reference_densities import gaussian, log_bernoulli, log_normal, network

Values = Sequence[int | None]


class MVAEReference:
    """The densities of an MVAE of MLPs with Bernoulli pixels over any leading axes of ``z``."""

    def __init__(self, model: nn.Module, cardinalities: Sequence[int], latent_size: int) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.cardinalities, self.latent_size = cardinalities, latent_size

    def experts(self, x: Tensor | None, y: Values) -> list[tuple[Tensor, Tensor]]:
        """Mean and scale of every expert but the prior's."""
        found = [] if x is None else [gaussian(network(self.weights, "encoder", x))]
        for label, value in enumerate(y):
            if value is not None:
                one_hot = torch.zeros(sum(self.cardinalities))
                one_hot[sum(self.cardinalities[:label]) + value] = 1
                found.append(gaussian(network(self.weights, "label_encoder", one_hot)))
        return found

    def posterior(self, x: Tensor | None, y: Values) -> tuple[Tensor, Tensor]:
        """Mean and scale of the product, one expert multiplied to the others after another."""
        mean, variance = torch.zeros(self.latent_size), torch.ones(self.latent_size)
        for other_mean, other_scale in self.experts(x, y):
            total = variance + other_scale**2
            mean = (mean * other_scale**2 + other_mean * variance) / total
            variance = variance * other_scale**2 / total
        return mean, variance.sqrt()

    def log_p_x(self, x: Tensor, z: Tensor) -> Tensor:
        return log_bernoulli(x, network(self.weights, "decoder", z))

    def log_p_label(self, label: int, value: int, z: Tensor) -> Tensor:
        logits = network(self.weights, "label_decoder", z).split(list(self.cardinalities), dim=-1)[label]
        return logits[..., value] - torch.log(torch.exp(logits).sum(-1))

    def log_p(self, x: Tensor | None, y: Values, z: Tensor, label_weight: float = 1.0) -> Tensor:
        """``log p(x | z) + λ log p(y_O | z)`` of what is observed."""
        total = torch.zeros(z.shape[:-1]) if x is None else self.log_p_x(x, z)
        for label, value in enumerate(y):
            if value is not None:
                total = total + label_weight * self.log_p_label(label, value, z)
        return total

    # for given noise

    def elbo_estimate(self, x: Tensor | None, y: Values, noise: Tensor, label_weight: float = 1.0) -> Tensor:
        """``ELBO(x, y_O)`` at ``z`` from noise of shape (latent), its KL in closed form."""
        mean, scale = self.posterior(x, y)
        divergence = ((scale**2 + mean**2 - 1 - torch.log(scale**2)) / 2).sum()
        return self.log_p(x, y, mean + scale * noise, label_weight) - divergence

    def estimate(self, x: Tensor, y: Values, noise: Sequence[Tensor], label_weight: float) -> Tensor:
        """The sum of the bounds, from the noise of image, both and labels; without labels that of the image alone."""
        nothing = [None] * len(y)
        total = self.elbo_estimate(x, nothing, noise[0])
        if any(value is not None for value in y):
            total = total + self.elbo_estimate(x, y, noise[1], label_weight)
            total = total + self.elbo_estimate(None, y, noise[2], label_weight)
        return total

    # exact

    def _grid(self) -> tuple[Tensor, Tensor]:
        z, log_cell = grid(self.latent_size, radius=9.0, points={1: 4001, 2: 161}[self.latent_size])
        return z, log_normal(z, 0.0, 1.0).sum(-1) + log_cell

    def log_evidence(self, x: Tensor | None, y: Values) -> Tensor:
        """``log p(x, y_O)``, ``log p(x)`` or ``log p(y_O)``."""
        z, log_prior = self._grid()
        return (self.log_p(x, y, z) + log_prior).logsumexp(0)

    def elbo(self, x: Tensor | None, y: Values) -> Tensor:
        """``E_q [ log p(x, y_O, z) − log q(z | x, y_O) ]``, its divergence by quadrature too."""
        noise, weights = gaussian_grid(self.latent_size)
        mean, scale = self.posterior(x, y)
        z = mean + scale * noise
        log_ratio = log_normal(z, 0.0, 1.0).sum(-1) - log_normal(z, mean, scale).sum(-1)
        return (weights * (self.log_p(x, y, z) + log_ratio)).sum()

    def gap(self, x: Tensor | None, y: Values) -> Tensor:
        """``KL(q(z | x, y_O) ‖ p(z | x, y_O))``."""
        z, log_prior = self._grid()
        log_cell = log_prior - log_normal(z, 0.0, 1.0).sum(-1)
        log_q = log_normal(z, *self.posterior(x, y)).sum(-1)
        log_p = self.log_p(x, y, z) + log_prior - log_cell - self.log_evidence(x, y)
        return (torch.exp(log_q + log_cell) * (log_q - log_p)).sum()
