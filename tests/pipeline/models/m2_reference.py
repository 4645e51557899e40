"""M2 written out from its formulas (Kingma et al. 2014, eq. 6 to 9), slowly, for one image at a time.

Nothing here comes from the code under test but the weights of its networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from tests.pipeline.models.ccvae_reference import log_normal
from tests.pipeline.models.quadrature import gaussian_grid, grid


class M2Reference:
    """The densities of an M2 with Bernoulli pixels, one class label and one latent or more."""

    def __init__(self, model: nn.Module, class_frequencies: Sequence[float], latent_size: int) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.log_p_y = [math.log(frequency) for frequency in class_frequencies]
        self.classes = range(len(class_frequencies))
        self.latent_size = latent_size

    def layer(self, name: str, inputs: Tensor) -> Tensor:
        return inputs @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def conditioned(self, name: str, inputs: Tensor, y: int) -> Tensor:
        """A network of two hidden layers over the concatenation of inputs and one-hot class."""
        one_hot = torch.zeros(*inputs.shape[:-1], len(self.classes))
        one_hot[..., y] = 1
        hidden = torch.relu(self.layer(name, torch.cat([inputs, one_hot], dim=-1)))
        return self.layer(f"{name}.rest.1.2", torch.relu(self.layer(f"{name}.rest.1.0", hidden)))

    def log_q_y(self, x: Tensor, y: int) -> Tensor:
        """``log q(y | x)``."""
        hidden = torch.relu(self.layer("classifier.0", x))
        logits = self.layer("classifier.4", torch.relu(self.layer("classifier.2", hidden)))
        return logits[y] - torch.log(torch.exp(logits).sum())

    def posterior(self, x: Tensor, y: int) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ``q(z | x, y)``."""
        outputs = self.conditioned("encoder", x, y)
        return outputs[: self.latent_size], torch.clamp(softplus(outputs[self.latent_size :]), min=1e-3)

    def log_p_x(self, x: Tensor, y: int, z: Tensor) -> Tensor:
        logits = self.conditioned("decoder", z, y)
        return -(x * softplus(-logits) + (1 - x) * softplus(logits)).sum(-1)

    # for given noise

    def bound_estimate(self, x: Tensor, y: int, noise: Tensor) -> Tensor:
        """``log p(x|y,z) + log p(y) − KL(q(z|x,y) ‖ N(0, I))`` at ``z`` from noise of shape (latent)."""
        mean, scale = self.posterior(x, y)
        divergence = torch.zeros(())
        for m, s in zip(mean, scale, strict=True):
            divergence = divergence + (s**2 + m**2 - 1 - torch.log(s**2)) / 2
        return self.log_p_x(x, y, mean + scale * noise) + self.log_p_y[y] - divergence

    def labelled_estimate(self, x: Tensor, y: int, noise: Tensor, classifier_weight: float) -> Tensor:
        """Eq. 9's labelled part from noise of shape (latent)."""
        return self.bound_estimate(x, y, noise) + classifier_weight * self.log_q_y(x, y)

    def unlabelled_estimate(self, x: Tensor, noise: Tensor) -> Tensor:
        """Eq. 7, ``Σ_y q(y|x) L(x, y) + H(q(y|x))``, from noise of shape (class, latent)."""
        total, entropy = torch.zeros(()), torch.zeros(())
        for y in self.classes:
            log_q = self.log_q_y(x, y)
            total = total + torch.exp(log_q) * self.bound_estimate(x, y, noise[y])
            entropy = entropy - torch.exp(log_q) * log_q
        return total + entropy

    # exact

    def log_p_xy(self, x: Tensor, y: int) -> Tensor:
        """``log p(x, y)``."""
        z, log_cell = grid(self.latent_size, radius=9.0, points={1: 4001, 2: 161}[self.latent_size])
        log_prior = log_normal(z, 0.0, 1.0).sum(-1) + self.log_p_y[y]
        return (self.log_p_x(x, y, z) + log_prior + log_cell).logsumexp(0)

    def log_p_x_marginal(self, x: Tensor) -> Tensor:
        """``log p(x)``."""
        return torch.stack([self.log_p_xy(x, y) for y in self.classes]).logsumexp(0)

    def labelled_bound(self, x: Tensor, y: int) -> Tensor:
        """``E_{q(z|x,y)} [ log p(x, y, z) − log q(z | x, y) ]``, its divergence by quadrature too."""
        noise, weights = gaussian_grid(self.latent_size)
        mean, scale = self.posterior(x, y)
        z = mean + scale * noise
        log_p = self.log_p_x(x, y, z) + log_normal(z, 0.0, 1.0).sum(-1) + self.log_p_y[y]
        return (weights * (log_p - log_normal(z, mean, scale).sum(-1))).sum()

    def labelled_gap(self, x: Tensor, y: int) -> Tensor:
        """``KL(q(z | x, y) ‖ p(z | x, y))`` over all of ``z``."""
        z, log_cell = grid(self.latent_size, radius=9.0, points={1: 4001, 2: 161}[self.latent_size])
        log_q = log_normal(z, *self.posterior(x, y)).sum(-1)
        log_p = self.log_p_x(x, y, z) + log_normal(z, 0.0, 1.0).sum(-1)
        log_p = log_p - (log_p + log_cell).logsumexp(0)
        return (torch.exp(log_q + log_cell) * (log_q - log_p)).sum()
