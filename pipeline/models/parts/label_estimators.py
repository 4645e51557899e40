"""The named estimators for labels: ``log p(z_c)`` summed over values, ``log q(y | x)`` integrated over ``z_c``."""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, UInt8
from numpy.polynomial.hermite_e import hermegauss
from torch import Tensor, nn

from pipeline.models.parts.class_draws import ClassDistribution
from pipeline.models.parts.densities import class_log_probability, log_mean_exp
from pipeline.models.parts.label_classifier import DiagonalClassifier
from pipeline.networks import full_precision

LabelMarginal = Literal["exact", "jensen_enumerated", "jensen_sampled"]
PosteriorPredictive = Literal["quadrature", "monte_carlo", "monte_carlo_joint"]

QUADRATURE_NODES = 64
"""Number of quadrature nodes of each integral over one latent, in both of its forms."""
STEEP = 3.0
"""Slope of the classifier times scale of the posterior above which the sigmoid is too steep for Gauss–Hermite."""


def label_marginal(
    choice: LabelMarginal, joint: Float[Tensor, "*rows label value"], log_q: Tensor | None
) -> Float[Tensor, "*rows label"]:
    """``log p(z_i)`` of each label, or the chosen lower bound of its expectation (CCVAE eq. 5).

    Args:
        choice: the estimator.
        joint: ``log p(z_i | y_i) + log p(y_i)`` of every value.
        log_q: ``log q(y_i | z_i)`` of every value, of the same shape; unused by ``exact``.
    """
    if choice == "exact":
        return joint.logsumexp(-1)
    assert log_q is not None
    inner = joint - log_q
    if choice == "jensen_enumerated":
        return (log_q.exp() * inner).sum(-1)
    # Without the score term the classifier would learn only from noise: its expected gradient would be zero.
    label = ClassDistribution(log_q)
    drawn, other = label.sample(), label.sample()
    value, baseline = class_log_probability(inner, drawn), class_log_probability(inner, other)
    score = class_log_probability(log_q, drawn)
    return value + (value - baseline).detach() * (score - score.detach())


def monte_carlo(
    log_q: Float[Tensor, "sample rows label"], observed: Bool[Tensor, "rows label"], *, joint: bool
) -> Float[Tensor, " rows"]:
    """``log q(y | x)`` of the observed labels from ``log q(y_i | z_i)`` at samples of ``q(z | x)``.

    ``joint``: the mean of the product over labels; else the product of each label's mean, of smaller variance.
    """
    if joint:
        return log_mean_exp(log_q.masked_fill(~observed, 0).sum(-1))
    return log_mean_exp(log_q).masked_fill(~observed, 0).sum(-1)


class SigmoidQuadrature(nn.Module):
    """``log E_u [σ(m + s u)]`` under a standard normal ``u``, by Gauss–Hermite quadrature if ``s`` is small.

    Otherwise the two change roles: it is ``log E_T [Φ((m − T) / s)]`` under a logistic ``T``, and the trapezoidal
    rule in ``v``, ``T = 4 sinh v``, reaches far into both tails. Far out, ``m < −1.5 s²``, σ is just an exponential, which
    Gauss–Hermite can integrate. Relative errors are below 1e-5 for ``s`` up to 10, and beyond where ``m > −s²``.
    """

    nodes: Tensor
    log_weights: Tensor
    thresholds: Tensor
    log_masses: Tensor

    def __init__(self) -> None:
        super().__init__()
        nodes, weights = hermegauss(QUADRATURE_NODES)
        dtype = torch.get_default_dtype()
        log_weights = np.log(weights / weights.sum())
        self.register_buffer("nodes", torch.tensor(nodes, dtype=dtype), persistent=False)
        self.register_buffer("log_weights", torch.tensor(log_weights, dtype=dtype), persistent=False)
        v = np.linspace(-1, 1, QUADRATURE_NODES) * np.arcsinh(100)
        thresholds = 4 * np.sinh(v)
        log_density = -np.abs(thresholds) - 2 * np.log1p(np.exp(-np.abs(thresholds)))
        log_masses = log_density + np.log(4 * np.cosh(v) * (v[1] - v[0]))
        self.register_buffer("thresholds", torch.tensor(thresholds, dtype=dtype), persistent=False)
        self.register_buffer("log_masses", torch.tensor(log_masses, dtype=dtype), persistent=False)

    def log_predictive(
        self,
        classifier: DiagonalClassifier,
        mean: Float[Tensor, "rows label"],
        scale: Float[Tensor, "rows label"],
        labels: UInt8[Tensor, "*#rows label"],
    ) -> Float[Tensor, "rows label"]:
        """``log q(y_i | x) = log ∫ q(y_i | z_i) N(z_i; mean_i, scale_i²) dz_i`` of the given values."""
        log_q = classifier.of(mean + scale * self.nodes[:, None, None], labels)
        flat = (log_q + self.log_weights[:, None, None]).logsumexp(0)
        m = classifier.logits(mean) * (2 * full_precision(labels) - 1)
        s = full_precision(classifier.slope * scale).abs()
        steep = (s > STEEP) & (m > -1.5 * s**2)
        m, s = m.where(steep, 0.0), s.where(steep, 1.0)  # gradients stay finite where the other form is used
        log_ndtr = torch.special.log_ndtr((m - self.thresholds[:, None, None]) / s)
        return torch.where(steep, (log_ndtr + self.log_masses[:, None, None]).logsumexp(0), flat)
