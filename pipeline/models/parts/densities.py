"""Log densities in nats and full precision, summed over the event axes."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from pipeline.networks import full_precision

_HALF_LOG_2_PI = 0.5 * math.log(2 * math.pi)


def gaussian_log_density(
    value: Float[Tensor, "*#rows latent"],
    mean: Float[Tensor, "*#rows latent"],
    scale: Float[Tensor, "*#rows latent"],
) -> Float[Tensor, "*rows"]:
    """``log N(value; mean, scale²)`` with diagonal covariance, summed over the last axis."""
    return (-0.5 * ((value - mean) / scale).square() - scale.log() - _HALF_LOG_2_PI).sum(-1)


def standard_gaussian_log_density(value: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows"]:
    """``log N(value; 0, I)``, summed over the last axis."""
    return (-0.5 * value.square() - _HALF_LOG_2_PI).sum(-1)


def standard_gaussian_kl(
    mean: Float[Tensor, "*rows latent"], scale: Float[Tensor, "*rows latent"]
) -> Float[Tensor, "*rows"]:
    """``KL(N(mean, scale²) ‖ N(0, I))``, summed over the last axis."""
    return (0.5 * (mean.square() + scale.square() - 1) - scale.log()).sum(-1)


def gaussian_kl(
    mean: Float[Tensor, "*#rows latent"],
    scale: Float[Tensor, "*#rows latent"],
    prior_mean: Float[Tensor, "*#rows latent"],
    prior_scale: Float[Tensor, "*#rows latent"],
) -> Float[Tensor, "*rows"]:
    """``KL(N(mean, scale²) ‖ N(prior_mean, prior_scale²))``, summed over the last axis."""
    ratio, distance = scale / prior_scale, (mean - prior_mean) / prior_scale
    return (0.5 * (ratio.square() + distance.square() - 1) - ratio.log()).sum(-1)


def bernoulli_log_density(
    pixels: Float[Tensor, "*#rows pixel"], logits: Float[Tensor, "*#rows pixel"]
) -> Float[Tensor, "*rows"]:
    """``log Ber(pixels; sigmoid(logits))`` over the last axis; grey pixels are probabilities, as in the papers."""
    pixels, logits = torch.broadcast_tensors(pixels, full_precision(logits))
    return -functional.binary_cross_entropy_with_logits(logits, pixels, reduction="none").sum(-1)


def laplace_log_density(
    pixels: Float[Tensor, "*#rows pixel"], logits: Float[Tensor, "*#rows pixel"], scale: float = 1.0
) -> Float[Tensor, "*rows"]:
    """``log Laplace(pixels; sigmoid(logits), scale)`` over the last axis (CCVAE C.3, with scale 1)."""
    return -((pixels - full_precision(logits).sigmoid()).abs() / scale + math.log(2 * scale)).sum(-1)


def gaussian_pixel_log_density(
    pixels: Float[Tensor, "*#rows pixel"], logits: Float[Tensor, "*#rows pixel"], scale: float = 1.0
) -> Float[Tensor, "*rows"]:
    """``log N(pixels; sigmoid(logits), scale²)`` over the last axis."""
    distance = (pixels - full_precision(logits).sigmoid()) / scale
    return -(0.5 * distance.square() + math.log(scale) + _HALF_LOG_2_PI).sum(-1)


def log_mean_exp(values: Float[Tensor, "sample *rows"]) -> Float[Tensor, "*rows"]:
    """``log`` of the mean of ``exp`` over the first axis."""
    return values.logsumexp(0) - math.log(values.shape[0])


def class_log_probability(
    log_probabilities: Float[Tensor, "*rows category"], classes: Tensor
) -> Float[Tensor, "*rows"]:
    """Pick each row's own class; ``classes`` has the shape of ``rows`` without broadcasting (a trap, see the tests)."""
    if classes.shape != log_probabilities.shape[:-1]:
        raise ValueError(
            f"classes of shape {tuple(classes.shape)} for rows {tuple(log_probabilities.shape[:-1])}"
        )
    return torch.gather(log_probabilities, -1, classes.long().unsqueeze(-1)).squeeze(-1)
