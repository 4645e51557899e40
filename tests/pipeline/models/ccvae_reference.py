"""CCVAE written out from its formulas (Joy et al. 2021, eq. 4, 5 and 8), slowly, for one image at a time.

Nothing here comes from the code under test but the weights of its networks. Values are exact (``Exact``, by quadrature over
``z`` and a sum over ``y``) or those of the estimator for given noise (``labelled_estimate``, ``unlabelled_estimate``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pipeline.models.ccvae import CCVAEConfig
from tests.pipeline.models.quadrature import grid
from tests.pipeline.models.reference_densities import gaussian, log_bernoulli, log_normal, network

CLASSIFIER, CONDITIONAL_PRIOR = "classifier.blocks.0.network", "conditional_prior.blocks.0.network"
"""Names of the networks of the only label."""


class CCVAEReference:
    """The densities of a CCVAE with Bernoulli pixels and one class label, over any leading axes of ``z``."""

    def __init__(self, model: nn.Module, class_frequencies: Sequence[float], config: CCVAEConfig) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.config = config
        self.classes = range(len(class_frequencies))
        self.log_p_y = [math.log(frequency) for frequency in class_frequencies]

    def gaussian(self, name: str, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return gaussian(network(self.weights, name, inputs))

    def characteristic(self, z: Tensor) -> Tensor:
        return z[..., : self.config.characteristic_size]

    def style(self, z: Tensor) -> Tensor:
        return z[..., self.config.characteristic_size :]

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.gaussian("encoder", x)

    def log_q_z(self, z: Tensor, x: Tensor) -> Tensor:
        return log_normal(z, *self.posterior(x)).sum(-1)

    def log_p_x(self, x: Tensor, z: Tensor) -> Tensor:
        return log_bernoulli(x, network(self.weights, "decoder", z))

    def log_p_style(self, z: Tensor) -> Tensor:
        return log_normal(self.style(z), 0.0, 1.0).sum(-1)

    def log_p_characteristic(self, z: Tensor, y: int) -> Tensor:
        """``log p(z_c | y)``."""
        one_hot = torch.tensor([float(each == y) for each in self.classes])
        mean, scale = self.gaussian(CONDITIONAL_PRIOR, one_hot)
        return log_normal(self.characteristic(z), mean, scale).sum(-1)

    def log_q_y(self, z: Tensor, y: int) -> Tensor:
        """``log q(y | z_c)``."""
        logits = network(self.weights, CLASSIFIER, self.characteristic(z))
        return logits[..., y] - torch.log(torch.exp(logits).sum(-1))

    # the estimators, for given noise

    def labelled_estimate(self, x: Tensor, y: int, noise: Tensor, predictive_noise: Tensor) -> Tensor:
        """Eq. 8 from noise of shape (importance sample, latent) and (predictive sample, characteristic)."""
        config = self.config
        mean, scale = self.posterior(x)
        samples = [mean + scale * each for each in noise]
        q_y = [
            torch.exp(self.log_q_y(self.characteristic(mean) + self.characteristic(scale) * each, y))
            for each in predictive_noise
        ]
        if config.bounded_weight:
            q_y += [torch.exp(self.log_q_y(z, y)) for z in samples]
        log_q_y_given_x = torch.log(torch.stack(q_y).mean())

        weights, brackets = [], []
        for z in samples:
            barred = z if config.reparameterise_classifier else z.detach()
            log_q_y = self.log_q_y(barred, y)
            if config.weight_gradient in ("denominator", "none"):
                log_q_y = log_q_y.detach()
            # The factor 1 / q(y|x) is common to all samples: in self-normalised weights it cancels.
            weights.append(
                self.limited(torch.exp(log_q_y - log_q_y_given_x))
                if len(samples) == 1
                else torch.exp(log_q_y)
            )
            brackets.append(
                self.log_p_x(x, z)
                + self.log_p_characteristic(z, y)
                + self.log_p_style(z)
                - log_q_y
                - self.log_q_z(z, x)
            )
        if len(samples) > 1:
            total = torch.stack(weights).sum()
            weights = [weight / total for weight in weights]
        if config.weight_gradient == "none":
            weights = [weight.detach() for weight in weights]
        expectation = torch.zeros(())
        for weight, bracket in zip(weights, brackets, strict=True):
            expectation = expectation + weight * bracket
        return expectation + config.classifier_weight * log_q_y_given_x + self.log_p_y[y]

    def limited(self, weight: Tensor) -> Tensor:
        """``min(w, limit)``, its gradient that of ``w`` times ``limit / w`` where it is truncated."""
        limit = self.config.weight_limit
        if limit is None or float(weight.detach()) <= limit:
            return weight
        return weight * (limit / float(weight.detach()))

    def unlabelled_estimate(
        self, x: Tensor, noise: Tensor, drawn: Tensor | None = None, baseline: Tensor | None = None
    ) -> Tensor:
        """The unlabelled bound from noise of shape (importance sample, latent); classes drawn per sample."""
        mean, scale = self.posterior(x)
        total = torch.zeros(())
        for index, each in enumerate(noise):
            z = mean + scale * each
            total = total + self.log_p_x(x, z) + self.log_p_style(z) - self.log_q_z(z, x)
            if self.config.label_marginal == "exact":
                p = [torch.exp(self.log_p_characteristic(z, y) + self.log_p_y[y]) for y in self.classes]
                total = total + torch.log(torch.stack(p).sum())
            elif self.config.label_marginal == "jensen_enumerated":
                for y in self.classes:
                    total = total + torch.exp(self.log_q_y(z, y)) * self.inner(z, y)
            else:
                assert drawn is not None
                assert baseline is not None
                y, other = int(drawn[index]), int(baseline[index])
                advantage = (self.inner(z, y) - self.inner(z, other)).detach()
                log_q_y = self.log_q_y(z, y)
                # Adds nothing to the value, and advantage × ∇ log q(y|z) to the gradient.
                total = total + self.inner(z, y) + advantage * (log_q_y - log_q_y.detach())
        return total / len(noise)

    def inner(self, z: Tensor, y: int) -> Tensor:
        """``log p(z_c | y) + log p(y) − log q(y | z_c)``: what eq. 5 averages over ``q(y | z_c)``."""
        return self.log_p_characteristic(z, y) + self.log_p_y[y] - self.log_q_y(z, y)


class Exact:
    """Exact values for one image, by quadrature over ``z`` and summing over ``y``."""

    def __init__(self, reference: CCVAEReference, x: Tensor) -> None:
        self.reference, self.x = reference, x
        config = reference.config
        size = config.characteristic_size + config.style_size
        self.mean, self.scale = reference.posterior(x)
        points = {1: 4001, 2: 161}[size]
        standard, log_cell = grid(size, radius=9.0, points=points)
        self.under_q = self.mean + self.scale * standard
        """Nodes for expectations under ``q(z | x)``."""
        self.q_weights = torch.exp(log_normal(standard, 0.0, 1.0).sum(-1) + log_cell)
        self.everywhere, self.log_cell = grid(size, radius=9.0, points=points)
        """Nodes for integrals over all of ``z``."""

    def expectation(self, values: Tensor) -> Tensor:
        """``E_{q(z|x)}`` of values at the nodes ``under_q``."""
        return (self.q_weights * values).sum()

    def log_joint(self, z: Tensor, y: int) -> Tensor:
        """``log p(x, y, z)``."""
        r = self.reference
        return r.log_p_x(self.x, z) + r.log_p_characteristic(z, y) + r.log_p_style(z) + r.log_p_y[y]

    def log_p_xy(self, y: int) -> Tensor:
        return (self.log_joint(self.everywhere, y) + self.log_cell).logsumexp(0)

    def log_p_x(self) -> Tensor:
        return torch.stack([self.log_p_xy(y) for y in self.reference.classes]).logsumexp(0)

    def q_y(self, y: int) -> Tensor:
        """``q(y | x) = ∫ q(y | z_c) q(z | x) dz``."""
        return self.expectation(torch.exp(self.reference.log_q_y(self.under_q, y)))

    def unlabelled_bound(self) -> Tensor:
        """``E_q [ log p(x, z) − log q(z | x) ]`` with the exact sum over ``y``."""
        z = self.under_q
        log_p = torch.stack([self.log_joint(z, y) for y in self.reference.classes]).logsumexp(0)
        return self.expectation(log_p - self.reference.log_q_z(z, self.x))

    def jensen_bound(self) -> Tensor:
        """Eq. 5: ``E_{q(z|x) q(y|z_c)} [ log p(x, y, z) − log q(y | z_c) − log q(z | x) ]``."""
        z, r = self.under_q, self.reference
        log_q_z = r.log_q_z(z, self.x)
        total = torch.zeros(())
        for y in r.classes:
            log_q_y = r.log_q_y(z, y)
            total = total + self.expectation(torch.exp(log_q_y) * (self.log_joint(z, y) - log_q_y - log_q_z))
        return total

    def labelled_bound(self, y: int, limit: float = math.inf) -> Tensor:
        """Eq. 4; with a limit, what it becomes where ``w`` is replaced by ``min(w, limit)``."""
        z, r = self.under_q, self.reference
        log_q_y, q_y = r.log_q_y(z, y), self.q_y(y)
        weight = torch.clamp(torch.exp(log_q_y) / q_y, max=limit)
        bracket = (
            r.log_p_x(self.x, z)
            + r.log_p_characteristic(z, y)
            + r.log_p_style(z)
            - log_q_y
            - r.log_q_z(z, self.x)
        )
        return self.expectation(weight * bracket) + torch.log(q_y) + r.log_p_y[y]

    def unlabelled_gap(self) -> Tensor:
        """``KL(q(z | x) ‖ p(z | x))``, over all of ``z``."""
        z = self.everywhere
        log_p = torch.stack([self.log_joint(z, y) for y in self.reference.classes]).logsumexp(0)
        return self._divergence(self.reference.log_q_z(z, self.x), log_p)

    def jensen_gap(self) -> Tensor:
        """``KL(q(z, y | x) ‖ p(z, y | x))`` with ``q(z, y | x) = q(z | x) q(y | z_c)``, over all of ``z`` and ``y``."""
        z, r = self.everywhere, self.reference
        log_q = torch.cat([r.log_q_z(z, self.x) + r.log_q_y(z, y) for y in r.classes])
        log_p = torch.cat([self.log_joint(z, y) for y in r.classes])
        return self._divergence(log_q, log_p)

    def labelled_gap(self, y: int) -> Tensor:
        """``KL(q(z | x, y) ‖ p(z | x, y))`` with ``q(z | x, y) ∝ q(y | z_c) q(z | x)``, over all of ``z``."""
        z, r = self.everywhere, self.reference
        return self._divergence(r.log_q_z(z, self.x) + r.log_q_y(z, y), self.log_joint(z, y))

    def _divergence(self, log_q: Tensor, log_p: Tensor) -> Tensor:
        """KL between two densities given up to their constants at the nodes ``everywhere`` (for each class)."""
        log_cell = self.log_cell
        log_q = log_q - (log_q + log_cell).logsumexp(0)
        log_p = log_p - (log_p + log_cell).logsumexp(0)
        return (torch.exp(log_q + log_cell) * (log_q - log_p)).sum()
