"""M2 written out from its formulas (Kingma et al. 2014, eq. 6 to 9), slowly, for one image at a time.

Nothing here comes from the code under test but the weights of its networks. ``y`` has the value of each label, None where it
is not observed; the noise of an image has a row for each combination of the values of all labels, in the order of
``combinations``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn

from tests.pipeline.models.quadrature import gaussian_grid, grid
from tests.pipeline.models.reference_densities import gaussian, log_bernoulli, log_normal

Values = Sequence[int | None]


class M2Reference:
    """The densities of an M2 of MLPs with Bernoulli pixels and one latent or more."""

    def __init__(self, model: nn.Module, frequencies: Sequence[Sequence[float]], latent_size: int) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.frequencies, self.latent_size = frequencies, latent_size
        self.labels = range(len(frequencies))
        self.combinations = list(product(*(range(len(of_label)) for of_label in frequencies)))

    def layer(self, name: str, inputs: Tensor) -> Tensor:
        return inputs @ self.weights[f"{name}.weight"].T + self.weights[f"{name}.bias"]

    def conditioned(self, name: str, inputs: Tensor, code: Tensor) -> Tensor:
        """A network of two hidden layers over the concatenation of inputs and the codes of the labels."""
        code = code.expand(*inputs.shape[:-1], -1)
        hidden = torch.relu(self.layer(name, torch.cat([inputs, code], dim=-1)))
        return self.layer(f"{name}.rest.1.2", torch.relu(self.layer(f"{name}.rest.1.0", hidden)))

    def code(self, y: Sequence[int]) -> Tensor:
        """One-hot codes side by side."""
        parts = []
        for label in self.labels:
            part = torch.zeros(len(self.frequencies[label]))
            part[y[label]] = 1
            parts.append(part)
        return torch.cat(parts)

    def q_label(self, x: Tensor, label: int) -> Tensor:
        """``q(y_i | x)`` of every value."""
        hidden = torch.relu(self.layer("classifier.0", x))
        logits = self.layer("classifier.4", torch.relu(self.layer("classifier.2", hidden)))
        own = logits.split([len(of_label) for of_label in self.frequencies])[label]
        return torch.exp(own) / torch.exp(own).sum()

    def log_q_y(self, x: Tensor, y: Values) -> Tensor:
        """``log q(y | x)`` of the labels that have a value."""
        total = torch.zeros(())
        for label, value in enumerate(y):
            if value is not None:
                total = total + torch.log(self.q_label(x, label)[value])
        return total

    def log_p_y(self, y: Sequence[int]) -> float:
        return sum(math.log(self.frequencies[label][value]) for label, value in enumerate(y))

    def posterior(self, x: Tensor, code: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of ``q(z | x, y)``."""
        return gaussian(self.conditioned("encoder", x, code))

    def log_p_x(self, x: Tensor, code: Tensor, z: Tensor) -> Tensor:
        return log_bernoulli(x, self.conditioned("decoder", z, code))

    def completions(self, y: Values) -> list[tuple[int, tuple[int, ...]]]:
        """The combinations of all labels that agree with the observed ones, with their numbers."""
        return [
            (number, each)
            for number, each in enumerate(self.combinations)
            if all(value in (None, other) for value, other in zip(y, each, strict=True))
        ]

    def log_q_completion(self, x: Tensor, y: Values, each: Sequence[int]) -> Tensor:
        """``log q(y_U | x)`` of a combination's values of the unobserved labels."""
        return self.log_q_y(
            x, [other if value is None else None for value, other in zip(y, each, strict=True)]
        )

    # for given noise

    def reconstruction_estimate(self, x: Tensor, code: Tensor, noise: Tensor) -> Tensor:
        """``log p(x|y,z) − KL(q(z|x,y) ‖ N(0, I))`` at ``z`` from noise of shape (latent)."""
        mean, scale = self.posterior(x, code)
        divergence = torch.zeros(())
        for m, s in zip(mean, scale, strict=True):
            divergence = divergence + (s**2 + m**2 - 1 - torch.log(s**2)) / 2
        return self.log_p_x(x, code, mean + scale * noise) - divergence

    def estimate(self, x: Tensor, y: Values, noise: Tensor, classifier_weight: float = 0.0) -> Tensor:
        """Eq. 6, 7 or 9, or what lies between, every completion summed; noise of shape (combination, latent)."""
        total = classifier_weight * self.log_q_y(x, y)
        for number, each in self.completions(y):
            log_q = self.log_q_completion(x, y, each)
            bound = self.reconstruction_estimate(x, self.code(each), noise[number]) + self.log_p_y(each)
            total = total + torch.exp(log_q) * (bound - log_q)
        return total

    # exact

    def log_p_xy(self, x: Tensor, y: Values) -> Tensor:
        """``log p(x, y_O)``."""
        z, log_cell = grid(self.latent_size, radius=9.0, points={1: 4001, 2: 161}[self.latent_size])
        log_p_z = log_normal(z, 0.0, 1.0).sum(-1) + log_cell
        each = [
            (self.log_p_x(x, self.code(each), z) + log_p_z).logsumexp(0) + self.log_p_y(each)
            for _, each in self.completions(y)
        ]
        return torch.stack(each).logsumexp(0)

    def bound(self, x: Tensor, y: Values) -> Tensor:
        """``E_q [ log p(x, y, z) − log q(y_U | x) − log q(z | x, y) ]``, its divergences by quadrature too."""
        noise, weights = gaussian_grid(self.latent_size)
        total = torch.zeros(())
        for _, each in self.completions(y):
            mean, scale = self.posterior(x, self.code(each))
            z = mean + scale * noise
            log_ratio = log_normal(z, 0.0, 1.0).sum(-1) - log_normal(z, mean, scale).sum(-1)
            inner = (weights * (self.log_p_x(x, self.code(each), z) + log_ratio)).sum() + self.log_p_y(each)
            log_q = self.log_q_completion(x, y, each)
            total = total + torch.exp(log_q) * (inner - log_q)
        return total

    def gap(self, x: Tensor, y: Values) -> Tensor:
        """``KL(q(y_U, z | x, y_O) ‖ p(y_U, z | x, y_O))``, completion by completion."""
        z, log_cell = grid(self.latent_size, radius=9.0, points={1: 4001, 2: 161}[self.latent_size])
        log_evidence = self.log_p_xy(x, y)
        total = torch.zeros(())
        for _, each in self.completions(y):
            log_q_z = log_normal(z, *self.posterior(x, self.code(each))).sum(-1)
            log_p_z = self.log_p_x(x, self.code(each), z) + log_normal(z, 0.0, 1.0).sum(-1)
            log_p_z = log_p_z - (log_p_z + log_cell).logsumexp(0)
            divergence = (torch.exp(log_q_z + log_cell) * (log_q_z - log_p_z)).sum()
            log_q = self.log_q_completion(x, y, each)
            log_p = self.log_p_xy(x, each) - log_evidence
            total = total + torch.exp(log_q) * (log_q - log_p + divergence)
        return total
