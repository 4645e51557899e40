"""CCVAE with one class label (Joy et al., ICLR 2021, section 4 and D.6); ReVAE is its earlier name.

Generative:  ``p(y) p(z_c | y) p(z_s) p(x | z)``     Inference: ``q(z | x)``, ``q(y | z_c)``

Labelled example (eq. 8), with ``w = q(y | z̄_c) / q(y | x)`` and ``z̄`` the sample with its gradient stopped:

    L(x, y) = E_{q(z|x)} [ w (log p(x|z) + log p(z_c|y) + log p(z_s) − log q(y|z̄_c) − log q(z|x)) ]
              + log q(y|x) + log p(y)

Unlabelled example: ``L(x) = E_{q(z|x)} [ log p(x|z) + log p(z_s) + log p(z_c) − log q(z|x) ]``.

They are one formula: without a label ``w = 1``, the label's terms vanish, and ``log p(z_c)`` takes the place of
``log p(z_c | y)``. What really trains the classifier, and hence what the two presets choose, is in ``docs/results.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.choices import check_choices
from pipeline.data.batch import Batch
from pipeline.models.densities import (
    bernoulli_log_density,
    class_log_probability,
    gaussian_log_density,
    log_mean_exp,
    standard_gaussian_log_density,
)
from pipeline.models.interface import DataShape, Losses, term, to_image, to_pixels
from pipeline.networks import full_precision, mlp, split_mean_and_scale


@dataclass(frozen=True, kw_only=True, slots=True)
class CCVAEConfig:
    """CCVAE with one class label; the defaults are the preset ``paper``."""

    system: Annotated[Literal["ccvae"], tyro.conf.Suppress] = "ccvae"
    characteristic_size: int = 10
    """Number of latents ``z_c`` that the label is read from (m_c)."""
    style_size: int = 0
    """Number of the other latents ``z_s``."""
    hidden_width: int = 600
    """Width of the two hidden layers of encoder and decoder."""
    label_marginal: Literal["exact", "jensen_enumerated", "jensen_sampled"] = "jensen_enumerated"
    """How ``log p(z_c)`` of an unlabelled example is had: the sum over classes, or the paper's second Jensen bound
    (eq. 5) with the classes enumerated or sampled. Only the latter two train ``q(y | z_c)`` without labels."""
    predictive_samples: int = 100
    """Monte Carlo samples for ``q(y | x)``, beside the sample that is decoded."""
    importance_samples: int = 1
    """Samples of ``z`` that are decoded per example; with more than one the weights are self-normalised."""
    weight_gradient: Literal["as_printed", "denominator", "none"] = "denominator"
    """Where gradients flow in the weight ``w`` and in ``−log q(y|z̄_c)``: as eq. 8 is printed, through the weight's
    denominator alone, or nowhere."""
    bounded_weight: bool = True
    """Let ``z`` itself be one of the samples that estimate ``q(y | x)``, so that ``w`` stays below their number."""
    weight_limit: float | None = 3.0
    """Largest weight, larger ones being truncated (Ionides 2008); not with several, self-normalised samples."""
    reparameterise_classifier: bool = False
    """Drop the bars of eq. 8, so that gradients reach the encoder through ``q(y | z_c)`` (the study of figure 8)."""
    classifier_weight: float = 1.0
    """Factor of ``log q(y | x)``; 1 is the bound."""

    def __post_init__(self) -> None:
        check_choices(self, "ccvae")
        for field in ("characteristic_size", "hidden_width", "importance_samples"):
            if getattr(self, field) < 1:
                raise ConfigError(f"ccvae: {field} is {getattr(self, field)}; it must be at least 1")
        if self.style_size < 0:
            raise ConfigError(f"ccvae: style_size is {self.style_size}; it must not be negative")
        if self.importance_samples > 1 and self.weight_gradient == "denominator":
            raise ConfigError(
                "ccvae: weight_gradient=denominator needs importance_samples=1: self-normalised weights have none"
            )
        if self.weight_limit is not None and not self.weight_limit >= 1:
            raise ConfigError(
                f"ccvae: weight_limit is {self.weight_limit}; below 1 it would cut ordinary weights"
            )
        if not self.classifier_weight >= 0:
            raise ConfigError(
                f"ccvae: classifier_weight is {self.classifier_weight}; it must not be negative"
            )
        if self.predictive_samples < (0 if self.bounded_weight else 1):
            raise ConfigError(
                f"ccvae: predictive_samples is {self.predictive_samples}; q(y|x) needs at least one sample"
            )

    @classmethod
    def exact(cls) -> CCVAEConfig:
        """The bound with its own gradient at low variance: no bars, several self-normalised samples."""
        return cls(
            label_marginal="exact",
            importance_samples=4,
            weight_gradient="as_printed",
            weight_limit=None,
            reparameterise_classifier=True,
        )

    @classmethod
    def revae(cls) -> CCVAEConfig:
        """The latent sizes of ReVAE's FashionMNIST experiments."""
        return cls(characteristic_size=4, style_size=10)

    def build(self, data: DataShape) -> CCVAE:
        return CCVAE(self, data)


class CCVAE(nn.Module):
    """CCVAE for images with Bernoulli pixels and one class label."""

    log_class_prior: Tensor

    def __init__(self, config: CCVAEConfig, data: DataShape) -> None:
        super().__init__()
        self.config = config
        self.image_shape = data.image_shape
        classes = data.only_class_label("ccvae")
        size, width = config.characteristic_size + config.style_size, config.hidden_width
        self.encoder = mlp([data.pixels, width, width, 2 * size])
        self.decoder = mlp([size, width, width, data.pixels])
        self.classifier = mlp([config.characteristic_size, 50, classes])
        self.conditional_prior = mlp([classes, 50, 2 * config.characteristic_size])
        self.register_buffer("log_class_prior", data.log_class_prior())

    # the densities of the model

    def posterior(self, pixels: Float[Tensor, "batch pixel"]) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``, each of shape (batch, latent)."""
        return split_mean_and_scale(self.encoder(pixels))

    def class_posterior(self, z_c: Float[Tensor, "*rows characteristic"]) -> Float[Tensor, "*rows category"]:
        """``log q(y | z_c)`` of every class."""
        return full_precision(self.classifier(z_c)).log_softmax(-1)

    def characteristic_prior(self) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``p(z_c | y)``, a row per class: (class, characteristic)."""
        classes = self.log_class_prior.shape[0]
        return split_mean_and_scale(
            self.conditional_prior(torch.eye(classes, device=self.log_class_prior.device))
        )

    def joint_characteristic_prior(
        self, z_c: Float[Tensor, "*rows characteristic"]
    ) -> Float[Tensor, "*rows category"]:
        """``log p(z_c | y) + log p(y)`` of every class."""
        mean, scale = self.characteristic_prior()
        return gaussian_log_density(z_c.unsqueeze(-2), mean, scale) + self.log_class_prior

    def marginal_characteristic_prior(
        self, z_c: Float[Tensor, "*rows characteristic"], joint: Float[Tensor, "*rows category"]
    ) -> Float[Tensor, "*rows"]:
        """``log p(z_c)``, or the chosen lower bound of its expectation (CCVAE eq. 5)."""
        if self.config.label_marginal == "exact":
            return joint.logsumexp(-1)
        log_q = self.class_posterior(z_c)
        inner = joint - log_q
        if self.config.label_marginal == "jensen_enumerated":
            return (log_q.exp() * inner).sum(-1)
        # Without the score term the classifier would learn from noise alone: its expected gradient would be zero.
        # Torch's checks of the distribution fail where no row is unlabelled, and would wait for the device.
        label = torch.distributions.Categorical(logits=log_q, validate_args=False)
        drawn, other = label.sample(), label.sample()
        value, baseline = class_log_probability(inner, drawn), class_log_probability(inner, other)
        score = class_log_probability(log_q, drawn)
        return value + (value - baseline).detach() * (score - score.detach())

    def sample_characteristic(
        self, mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"], samples: int
    ) -> Float[Tensor, "sample rows characteristic"]:
        """Samples of ``z_c`` from a posterior over all of ``z``."""
        size = self.config.characteristic_size
        noise = torch.randn(samples, mean.shape[0], size, device=mean.device)
        return mean[:, :size] + scale[:, :size] * noise

    # the objective

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, labelled and unlabelled ones by the same formula."""
        config, labelled = self.config, batch.labelled
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        noise = torch.randn(config.importance_samples, *mean.shape, device=mean.device)
        z = mean + scale * noise
        z_c, z_s = z.split([config.characteristic_size, config.style_size], dim=-1)

        log_likelihood = bernoulli_log_density(pixels, self.decoder(z))
        log_posterior = gaussian_log_density(z, mean, scale)
        joint = self.joint_characteristic_prior(z_c)
        log_style_prior = standard_gaussian_log_density(z_s)
        bracket = log_likelihood + log_style_prior - log_posterior  # (sample, batch)
        classes = batch.labels[:labelled, 0].expand(config.importance_samples, labelled)
        labels_prior = self.log_class_prior[batch.labels[:labelled, 0].long()]
        prior_given_label = class_log_probability(joint[:, :labelled], classes) - labels_prior
        marginal_prior = self.marginal_characteristic_prior(z_c[:, labelled:], joint[:, labelled:])

        log_predictive = self.log_predictive(mean[:labelled], scale[:labelled], z_c[:, :labelled], classes)
        weight, label_term = self.weight(z_c[:, :labelled], classes, log_predictive)
        supervised = (weight * (bracket[:, :labelled] + prior_given_label - label_term)).sum(0)
        supervised = supervised + config.classifier_weight * log_predictive + labels_prior
        unsupervised = (bracket[:, labelled:] + marginal_prior).mean(0)
        objective = torch.cat([supervised, unsupervised])
        return Losses(
            objective=objective,
            terms={
                "objective": term(objective),
                "log_likelihood": term(log_likelihood.mean(0)),
                "kl": term((log_posterior - log_style_prior - joint.logsumexp(-1)).mean(0)),
                "labelled/log_predictive": term(log_predictive),
                "labelled/largest_weight": term(weight.amax(0) * config.importance_samples),
                "unlabelled/elbo": term(unsupervised),
            },
        )

    def log_predictive(
        self, mean: Tensor, scale: Tensor, own: Tensor, classes: Tensor
    ) -> Float[Tensor, " labelled"]:
        """Monte Carlo ``log q(y | x)`` of the given classes, from fresh samples of ``q(z_c | x)`` and ``own``."""
        config = self.config
        samples = self.sample_characteristic(mean, scale, config.predictive_samples)
        if config.bounded_weight:
            samples = torch.cat([samples, own])
        log_q = self.class_posterior(samples)
        return log_mean_exp(class_log_probability(log_q, classes[:1].expand(log_q.shape[:-1])))

    def weight(
        self, z_c: Tensor, classes: Tensor, log_predictive: Tensor
    ) -> tuple[Float[Tensor, "sample labelled"], Float[Tensor, "sample labelled"]]:
        """The importance weight ``w`` (over samples) and the term ``log q(y | z̄_c)`` of the bracket."""
        config = self.config
        source = z_c if config.reparameterise_classifier else z_c.detach()
        label_term = class_log_probability(self.class_posterior(source), classes)
        if config.weight_gradient != "as_printed":
            label_term = label_term.detach()
        if config.importance_samples > 1:  # self-normalised: q(y|x) cancels
            weight = label_term.softmax(0)
        else:
            log_weight = label_term - log_predictive
            if config.weight_limit is not None:  # scaled down, not cut off: its gradient is limited too
                log_weight = log_weight - (log_weight.detach() - math.log(config.weight_limit)).clamp(min=0)
            weight = log_weight.exp()
        return (weight.detach() if config.weight_gradient == "none" else weight), label_term

    # what it can do

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """Monte Carlo ``log q(y | x)``; an estimate from 100 samples whatever the training used."""
        mean, scale = self.posterior(to_pixels(image))
        return [log_mean_exp(self.class_posterior(self.sample_characteristic(mean, scale, 100)))]

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean."""
        return to_image(self.decoder(self.posterior(to_pixels(image))[0]), self.image_shape)

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` for a fresh ``z_c ~ p(z_c | y)`` and ``z_s ~ p(z_s)`` per row."""
        mean, scale = (table[labels[:, 0].long()] for table in self.characteristic_prior())
        z_c = mean + scale * torch.randn_like(mean)
        z_s = torch.randn(labels.shape[0], self.config.style_size, device=labels.device)
        return to_image(self.decoder(torch.cat([z_c, z_s], dim=-1)), self.image_shape)

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of ``z_c``."""
        return self.posterior(to_pixels(image))[0][:, : self.config.characteristic_size]
