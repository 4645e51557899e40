"""CCVAE written out from its formulas (Joy et al. 2021, eq. 4, 5 and 8), slowly, for one image at a time.

Nothing here comes from the code under test but the weights of its networks. Some labels, or all, may be unobserved. Values
are those of the estimator for given noise (``CCVAEReference.estimate``) or exact (``Exact``, by quadrature and sums).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor, nn
from torch.nn.functional import softplus

from pipeline.models.ccvae import CCVAEBoundConfig
from pipeline.models.interface import DataSpec
from tests.pipeline.models.quadrature import grid
from tests.pipeline.models.reference_densities import gaussian, log_bernoulli, log_normal, network

Values = Sequence[int | None]
"""The value of each label, None where it is not observed."""


class CCVAEReference:
    """The densities of a CCVAE with Bernoulli pixels over any leading axes of ``z``; binary labels have one latent."""

    def __init__(self, model: nn.Module, data: DataSpec, config: CCVAEBoundConfig) -> None:
        self.weights: dict[str, Tensor] = dict(model.named_parameters())
        self.config, self.frequencies = config, data.label_frequencies
        self.labels = range(len(data.cardinalities))
        self.binary = [i for i in self.labels if data.cardinalities[i] == 2]
        self.others = [i for i in self.labels if data.cardinalities[i] != 2]
        size = config.characteristic_size
        starts = {i: self.binary.index(i) for i in self.binary}
        starts |= {i: len(self.binary) + size * place for place, i in enumerate(self.others)}
        self.places = {
            i: slice(starts[i], starts[i] + (1 if i in self.binary else size)) for i in self.labels
        }
        self.characteristic = slice(0, len(self.binary) + size * len(self.others))

    def network_of(self, part: str, label: int) -> str:
        return f"{part}.blocks.{bool(self.binary) + self.others.index(label)}.network"

    def values(self, label: int) -> range:
        return range(len(self.frequencies[label]))

    def log_p_y(self, label: int, y: int) -> float:
        return math.log(self.frequencies[label][y])

    def posterior(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return gaussian(network(self.weights, "encoder", x))

    def log_q_z(self, z: Tensor, x: Tensor) -> Tensor:
        return log_normal(z, *self.posterior(x)).sum(-1)

    def log_p_x(self, x: Tensor, z: Tensor) -> Tensor:
        return log_bernoulli(x, network(self.weights, "decoder", z))

    def log_p_style(self, z: Tensor) -> Tensor:
        return log_normal(z[..., self.characteristic.stop :], 0.0, 1.0).sum(-1)

    def log_q_y(self, label: int, z: Tensor, y: int) -> Tensor:
        """``log q(y_i | z_i)``."""
        own = z[..., self.places[label]]
        if label in self.binary:
            place = self.binary.index(label)
            slope, intercept = (
                self.weights[f"classifier.blocks.0.{name}"] for name in ("slope", "intercept")
            )
            probability = 1 / (1 + torch.exp(-(slope[place] * own[..., 0] + intercept[place])))
            return torch.log(probability if y else 1 - probability)
        logits = network(self.weights, self.network_of("classifier", label), own)
        return logits[..., y] - torch.log(torch.exp(logits).sum(-1))

    def prior(self, label: int, y: int) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``p(z_i | y_i)``."""
        if label in self.binary:
            mean, raw = (
                self.weights[f"conditional_prior.blocks.0.{name}"] for name in ("raw_mean", "raw_scale")
            )
            place = self.binary.index(label)
            return 10 * mean[place, y : y + 1], torch.clamp(softplus(raw[place, y : y + 1]), min=1e-3)
        one_hot = torch.tensor([float(each == y) for each in self.values(label)])
        return gaussian(network(self.weights, self.network_of("conditional_prior", label), one_hot))

    def log_p_z(self, label: int, z: Tensor, y: int) -> Tensor:
        """``log p(z_i | y_i)``."""
        return log_normal(z[..., self.places[label]], *self.prior(label, y)).sum(-1)

    def inner(self, label: int, z: Tensor, y: int) -> Tensor:
        """``log p(z_i | y_i) + log p(y_i) − log q(y_i | z_i)``."""
        return self.log_p_z(label, z, y) + self.log_p_y(label, y) - self.log_q_y(label, z, y)

    # the estimator, for given noise

    def estimate(
        self,
        x: Tensor,
        y: Values,
        noise: Tensor,
        predictive_noise: Tensor,
        drawn: Sequence[Tensor] = (),
        baseline: Sequence[Tensor] = (),
    ) -> Tensor:
        """The objective of an image from noise of shape (importance sample, latent) and (predictive sample, characteristic).

        ``drawn`` and ``baseline`` hold the values sampled for each label, (importance sample,), where labels are sampled.
        """
        config = self.config
        mean, scale = self.posterior(x)
        samples = [mean + scale * each for each in noise]
        observed = [i for i in self.labels if y[i] is not None]
        log_q_y_given_x = (
            self.log_predictive(x, y, predictive_noise, samples) if observed else torch.zeros(())
        )
        weights, brackets = [], []
        for index, z in enumerate(samples):
            barred = z if config.reparameterise_classifier else z.detach()
            log_q_y = torch.zeros(())
            for i in observed:
                log_q_y = log_q_y + self.log_q_y(i, barred, y[i])  # type: ignore[arg-type]
            if config.weight_gradient in ("denominator", "none"):
                log_q_y = log_q_y.detach()
            # The factor 1 / q(y|x) is common to all samples: in self-normalised weights it cancels.
            weights.append(
                torch.exp(log_q_y) if len(samples) > 1 else self.limited(torch.exp(log_q_y - log_q_y_given_x))
            )
            bracket = self.log_p_x(x, z) + self.log_p_style(z) - log_q_y - self.log_q_z(z, x)
            for i in self.labels:
                known = y[i]
                if known is not None:
                    bracket = bracket + self.log_p_z(i, z, known)
                else:
                    sampled = [int(values[i][index]) for values in (drawn, baseline) if values]
                    bracket = bracket + self.marginal(i, z, *sampled)
            brackets.append(bracket)
        if len(samples) > 1:
            total = torch.stack(weights).sum()
            weights = [weight / total for weight in weights]
        if config.weight_gradient == "none":
            weights = [weight.detach() for weight in weights]
        value = config.classifier_weight * log_q_y_given_x
        for weight, bracket in zip(weights, brackets, strict=True):
            value = value + weight * bracket
        return value + sum(self.log_p_y(i, y[i]) for i in observed)  # type: ignore[arg-type, misc]

    def log_predictive(self, x: Tensor, y: Values, noise: Tensor, samples: Sequence[Tensor]) -> Tensor:
        """``log q(y_O | x)``."""
        mean, scale = self.posterior(x)
        c = self.characteristic
        drawn = [mean[c] + scale[c] * each for each in noise]
        drawn += [z[c] for z in samples] if self.config.bounded_weight else []
        each = {
            i: torch.stack([torch.exp(self.log_q_y(i, z, known)) for z in drawn])
            for i, known in enumerate(y)
            if known is not None
        }
        choice = self.config.posterior_predictive
        if choice == "monte_carlo_joint":
            return torch.log(torch.stack(list(each.values())).prod(0).mean())
        total = torch.zeros(())
        for i, values in each.items():
            by_quadrature = choice == "quadrature" and i in self.binary
            total = total + (self.q_y(x, i, y[i]) if by_quadrature else values.mean()).log()  # type: ignore[arg-type]
        return total

    def q_y(self, x: Tensor, label: int, y: int) -> Tensor:
        """``∫ q(y_i | z_i) q(z_i | x) dz_i`` of a binary label by the trapezoidal rule."""
        mean, scale = self.posterior(x)
        standard, log_cell = grid(1, radius=9.0, points=2001)
        place = self.places[label].start
        z = torch.zeros(len(standard), len(mean))
        z = torch.cat([z[:, :place], mean[place] + scale[place] * standard, z[:, place + 1 :]], dim=1)
        weights = torch.exp(log_normal(standard[:, 0], 0.0, 1.0) + log_cell)
        return (weights * torch.exp(self.log_q_y(label, z, y))).sum()

    def limited(self, weight: Tensor) -> Tensor:
        """``min(w, limit)``, its gradient that of ``w`` times ``limit / w`` where it is truncated."""
        limit = self.config.weight_limit
        if limit is None or float(weight.detach()) <= limit:
            return weight
        return weight * (limit / float(weight.detach()))

    def marginal(self, label: int, z: Tensor, drawn: int = 0, baseline: int = 0) -> Tensor:
        """What stands for ``log p(z_i)``."""
        choice, values = self.config.label_marginal, self.values(label)
        if choice == "exact":
            p = [torch.exp(self.log_p_z(label, z, y) + self.log_p_y(label, y)) for y in values]
            return torch.stack(p).sum(0).log()
        if choice == "jensen_enumerated":
            terms = [torch.exp(self.log_q_y(label, z, y)) * self.inner(label, z, y) for y in values]
            return torch.stack(terms).sum(0)
        # Adds nothing to the value, and advantage × ∇ log q(y|z) to the gradient.
        advantage = (self.inner(label, z, drawn) - self.inner(label, z, baseline)).detach()
        log_q_y = self.log_q_y(label, z, drawn)
        return self.inner(label, z, drawn) + advantage * (log_q_y - log_q_y.detach())


class Exact:
    """Exact values for one image and the labels observed of it, by quadrature over ``z`` and sums over labels."""

    def __init__(self, reference: CCVAEReference, x: Tensor, y: Values) -> None:
        self.reference, self.x, self.y = reference, x, y
        mean, scale = reference.posterior(x)
        standard, log_cell = grid(len(mean), radius=9.0, points={1: 4001, 2: 161}[len(mean)])
        self.under_q = mean + scale * standard
        """Nodes for expectations under ``q(z | x)``."""
        self.q_weights = torch.exp(log_normal(standard, 0.0, 1.0).sum(-1) + log_cell)
        self.everywhere, self.log_cell = standard, log_cell
        """Nodes for integrals over all of ``z``."""
        self.observed = [i for i in reference.labels if y[i] is not None]
        self.completions = list(
            product(*[reference.values(i) if y[i] is None else [y[i]] for i in reference.labels])
        )
        """Every value of all labels that agrees with what is observed."""

    def log_joint(self, z: Tensor, y: Sequence[int | None]) -> Tensor:
        """``log p(x, y, z)`` for all labels."""
        r = self.reference
        total = r.log_p_x(self.x, z) + r.log_p_style(z)
        for i in r.labels:
            total = total + r.log_p_z(i, z, y[i]) + r.log_p_y(i, y[i])  # type: ignore[arg-type]
        return total

    def log_joint_of_observed(self, z: Tensor) -> Tensor:
        """``log p(x, y_O, z)``."""
        return torch.stack([self.log_joint(z, y) for y in self.completions]).logsumexp(0)

    def log_q_observed(self, z: Tensor) -> Tensor:
        """``log q(y_O | z_c)``."""
        total = torch.zeros(len(z))
        for i in self.observed:
            total = total + self.reference.log_q_y(i, z, self.y[i])  # type: ignore[arg-type]
        return total

    def log_p_y(self) -> float:
        """``log p(y_O)``."""
        return sum(self.reference.log_p_y(i, self.y[i]) for i in self.observed)  # type: ignore[arg-type, misc]

    def q_y(self) -> Tensor:
        """``q(y_O | x) = ∫ q(y_O | z_c) q(z | x) dz``."""
        return (self.q_weights * torch.exp(self.log_q_observed(self.under_q))).sum()

    def bound(self, limit: float = math.inf) -> Tensor:
        """Eq. 4 with the exact ``log p(z_i)`` of unobserved labels; ``limit`` makes ``w`` to ``min(w, limit)``."""
        return self._bound(self.log_joint_of_observed(self.under_q), limit)

    def jensen_bound(self) -> Tensor:
        """The same with eq. 5: unobserved labels averaged over ``q(y_U | z_c)``."""
        z, r = self.under_q, self.reference
        total = torch.zeros(len(z))
        for y in self.completions:
            log_q = sum((r.log_q_y(i, z, y[i]) for i in r.labels if self.y[i] is None), torch.zeros(()))  # type: ignore[arg-type]
            total = total + torch.exp(log_q) * (self.log_joint(z, y) - log_q)
        return self._bound(total, math.inf)

    def _bound(self, log_joint: Tensor, limit: float) -> Tensor:
        log_q_y, q_y = self.log_q_observed(self.under_q), self.q_y()
        weight = torch.clamp(torch.exp(log_q_y) / q_y, max=limit)
        bracket = log_joint - self.log_p_y() - log_q_y - self.reference.log_q_z(self.under_q, self.x)
        return (self.q_weights * weight * bracket).sum() + torch.log(q_y) + self.log_p_y()

    def log_likelihood(self) -> float:
        """``log p(x, y_O)``."""
        return float((self.log_joint_of_observed(self.everywhere) + self.log_cell).logsumexp(0))

    def gap(self) -> float:
        """``KL(q(z | x, y_O) ‖ p(z | x, y_O))`` with ``q(z | x, y_O) ∝ q(y_O | z_c) q(z | x)``."""
        z = self.everywhere
        log_q = self.reference.log_q_z(z, self.x) + self.log_q_observed(z)
        return self._divergence(log_q, self.log_joint_of_observed(z))

    def jensen_gap(self) -> float:
        """The same over ``z`` and the unobserved labels, with ``q(y_U | z_c)`` for those."""
        z, r = self.everywhere, self.reference
        log_q_z = r.log_q_z(z, self.x)
        log_q, log_p = [], []
        for y in self.completions:
            log_q.append(log_q_z + sum(r.log_q_y(i, z, y[i]) for i in r.labels))  # type: ignore[arg-type, misc]
            log_p.append(self.log_joint(z, y))
        return self._divergence(torch.cat(log_q), torch.cat(log_p))

    def with_analytic_divergence(self) -> float:
        """The trap: ``w`` times the analytic ``KL(q(z|x) ‖ p(z|y))`` in place of its sample; all labels observed."""
        r, z = self.reference, self.under_q
        log_q_z, log_q_y = r.log_q_z(z, self.x), self.log_q_observed(z)
        prior = r.log_p_style(z) + sum(r.log_p_z(i, z, self.y[i]) for i in self.observed)  # type: ignore[arg-type, misc]
        divergence = (self.q_weights * (log_q_z - prior)).sum()
        weighted = torch.exp(log_q_y) / self.q_y() * (r.log_p_x(self.x, z) - log_q_y - divergence)
        return float((self.q_weights * weighted).sum() + torch.log(self.q_y()) + self.log_p_y())

    def with_averaged_divergence(self) -> float:
        """The trap: analytic divergences averaged over labels drawn from ``q(y | z_c)``; no label observed."""
        r, z = self.reference, self.under_q
        total = r.log_p_x(self.x, z) + r.log_p_style(z) - r.log_q_z(z, self.x)
        for i in r.labels:
            for y in r.values(i):
                log_q_y = r.log_q_y(i, z, y)
                apart = (self.q_weights * r.log_p_z(i, z, y)).sum()  # a separate expectation
                total = total + torch.exp(log_q_y) * (apart + r.log_p_y(i, y) - log_q_y)
        return float((self.q_weights * total).sum())

    def _divergence(self, log_q: Tensor, log_p: Tensor) -> float:
        log_q = log_q - (log_q + self.log_cell).logsumexp(0)
        log_p = log_p - (log_p + self.log_cell).logsumexp(0)
        return float((torch.exp(log_q + self.log_cell) * (log_q - log_p)).sum())
