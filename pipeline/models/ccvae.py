"""CCVAE (Joy et al., ICLR 2021, section 4, C and D.6); ReVAE is an earlier version.

Generative:  ``p(y) p(z_c | y) p(z_s) p(x | z)``     Inference: ``q(z | x)``, ``q(y | z_c)``

Labels are binary, multi-class, or a mix of both; ``q(y | z_c)``, ``p(z_c | y)`` and ``p(y)`` factorise over
them, each label having its own latents ``z_i``. Of each example a set ``O`` of labels is observed: all of them
("supervised" in the paper), none ("unsupervised"), or some. One formula serves all, eq. 8 for the labels in ``O`` and
eq. 5 for the others, with ``w = q(y_O | z̄_c) / q(y_O | x)`` and ``z̄`` the sample with its gradient stopped:

    L(x, y_O) = E_{q(z|x)} [ w (log p(x|z) + Σ_{i∈O} log p(z_i|y_i) + Σ_{i∉O} log p(z_i) + log p(z_s)
                                − log q(y_O|z̄_c) − log q(z|x)) ]  +  log q(y_O|x) + Σ_{i∈O} log p(y_i)

Without an observed label ``w = 1`` and the label's terms vanish. What actually trains the classifier, and hence the
choice of presets, is described in ``docs/results.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Bool, Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, term, to_pixels
from pipeline.models.parts.characteristic_vae import sample
from pipeline.models.parts.conditional_prior_vae import ConditionalPriorVAE
from pipeline.models.parts.densities import gaussian_log_density, log_mean_exp, standard_gaussian_log_density
from pipeline.models.parts.label_classifier import DiagonalClassifier, concat_blocks
from pipeline.models.parts.label_estimators import LabelMarginal, PosteriorPredictive, monte_carlo
from pipeline.models.parts.own_readings import OwnReadingsConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class CCVAEBoundConfig(OwnReadingsConfig):
    """The fields that decide how the bound is estimated and where its gradients flow."""

    label_marginal: LabelMarginal = "jensen_enumerated"
    """Estimator of ``log p(z_i)`` of an unobserved label: the sum over its values, or the paper's second Jensen bound
    (eq. 5) with the values enumerated or sampled. Only the latter two train ``q(y | z_c)`` without labels."""
    posterior_predictive: PosteriorPredictive = "monte_carlo_joint"
    """Estimator of ``q(y | x)``: binary labels by `quadrature` (others by samples), the product of each label's mean
    over samples (`monte_carlo`), or the mean of the product (the authors'). With one class label all are the same."""
    predictive_samples: int = 100
    """Monte Carlo samples for ``q(y | x)``, in addition to the sample that is decoded."""
    importance_samples: int = 1
    """Samples of ``z`` that are decoded per example; with more than one the weights are self-normalised."""
    weight_gradient: Literal["as_printed", "denominator", "none"] = "denominator"
    """Where gradients flow in the weight ``w`` and in ``−log q(y|z̄_c)``: as eq. 8 is printed, through the weight's
    denominator only, or nowhere."""
    bounded_weight: bool = True
    """Include ``z`` itself in the samples that estimate ``q(y | x)``, so that ``w`` stays below their number (in
    the joint estimate; in the per-label one each label's factor of ``w``); no effect on quadrature."""
    weight_limit: float | None = 3.0
    """Maximum weight, larger ones are truncated (Ionides 2008); not with several, self-normalised samples."""
    reparameterise_classifier: bool = False
    """Drop the bars of eq. 8, so that gradients reach the encoder through ``q(y | z_c)`` (the study of figure 8); only
    with weight_gradient=as_printed, since the others have no gradient there."""
    classifier_weight: float = 1.0
    """Factor of ``log q(y | x)``; 1 is the bound."""

    def __post_init__(self) -> None:
        OwnReadingsConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "importance_samples")
        check_at_least(0, self, "classifier_weight")
        if self.importance_samples > 1 and self.weight_gradient == "denominator":
            raise ConfigError(
                f"{self.system}: weight_gradient=denominator needs importance_samples=1: self-normalised weights have"
                " none"
            )
        if self.reparameterise_classifier and self.weight_gradient != "as_printed":
            raise ConfigError(
                f"{self.system}: reparameterise_classifier needs weight_gradient=as_printed:"
                f" {self.weight_gradient} has no gradient there"
            )
        if self.weight_limit is not None and not self.weight_limit >= 1:
            raise ConfigError(
                f"{self.system}: weight_limit is {self.weight_limit}; below 1 it would truncate ordinary weights"
            )
        if self.predictive_samples < (0 if self.bounded_weight else 1):
            raise ConfigError(
                f"{self.system}: predictive_samples is {self.predictive_samples}; q(y|x) needs at least one sample"
            )


@dataclass(frozen=True, kw_only=True, slots=True)
class CCVAEConfig(CCVAEBoundConfig):
    """CCVAE for binary labels, multi-class labels, and mixes; the defaults are the preset ``ccvae``."""

    system: Annotated[Literal["ccvae"], tyro.conf.Suppress] = "ccvae"

    @classmethod
    def exact(cls) -> CCVAEConfig:
        """The bound with its own gradient at low variance: exact sums, no bars, several self-normalised samples."""
        return cls(
            label_marginal="exact",
            posterior_predictive="quadrature",
            importance_samples=4,
            weight_gradient="as_printed",
            weight_limit=None,
            reparameterise_classifier=True,
        )

    @classmethod
    def celeba(cls) -> CCVAEConfig:
        """The paper's style latents for CelebA, in addition to one for each of its 18 labels."""
        return cls(style_size=27)

    @classmethod
    def constant_weight(cls) -> CCVAEConfig:
        """CelebA's latents, a constant weight, and a compensating factor of ``log q(y | x)``.

        At 64 x 64 the gradient through the weight's denominator has a factor of some 10,000 for ``log q(y | x)``, nearly
        all from the likelihood's constant ``-d log 2``; a tenth of that classifies as well and leaves the latents to
        the image (``docs/estimators.md``).
        """
        return replace(cls.celeba(), weight_gradient="none", classifier_weight=1000.0)

    @classmethod
    def consistent(cls) -> CCVAEConfig:
        """``constant_weight`` with the consistency that was chosen for drawn faces (``docs/consistency.md``)."""
        return replace(cls.constant_weight(), consistency_weight=10.0)

    @classmethod
    def few_labels(cls) -> CCVAEConfig:
        """The paper's preset with pseudo-labels, weighted as was chosen for FashionMNIST at f = 0.06."""
        return cls(pseudo_label_weight=50.0)

    @classmethod
    def revae(cls) -> CCVAEConfig:
        """The latent sizes of ReVAE's FashionMNIST experiments."""
        return cls(characteristic_size=4, style_size=10)

    def build(self, data: DataSpec) -> CCVAE:
        return CCVAE(self, data)


class CCVAE(ConditionalPriorVAE):
    """CCVAE for images with any labels."""

    def __init__(self, config: CCVAEBoundConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.config = config

    def watched_parts(self) -> dict[str, tuple[nn.Parameter, ...]]:
        """The classifier, whose gradient figure 8 is about."""
        return {"classifier": tuple(self.classifier.parameters())}

    # the objective

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, for any set of observed labels."""
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        return self.with_own_readings(self.losses(batch, pixels, mean, scale), batch, mean, scale)

    def losses(
        self,
        batch: Batch,
        pixels: Float[Tensor, "batch pixel"],
        mean: Float[Tensor, "batch latent"],
        scale: Float[Tensor, "batch latent"],
    ) -> Losses:
        """The objective of each example from its pixels and its ``q(z | x)``."""
        config, labelled = self.config, batch.labelled
        noise = torch.randn(config.importance_samples, *mean.shape, device=mean.device)
        z = mean + scale * noise
        z_c, z_s = self.split(z)

        log_likelihood = self.log_likelihood(pixels, z)
        log_posterior = gaussian_log_density(z, mean, scale)
        joint = self.conditional_prior.joint(z_c)
        log_style_prior = standard_gaussian_log_density(z_s)
        bracket = log_likelihood + log_style_prior - log_posterior  # (sample, batch)
        # Only rows with an observed label, which come first, need the following.
        labels, observed = self.layout.in_block_order(batch.labels[:labelled], batch.observed[:labelled])
        labels_prior = self.conditional_prior.log_prior(labels)
        prior_given_labels = (
            self.conditional_prior.given([block[:, :labelled] for block in joint], labels) - labels_prior
        )
        # A labelled row's single label is observed; with several labels, some may not be.
        first = labelled if self.layout.labels == 1 else 0
        marginal_prior = self.marginal_prior(
            config.label_marginal, z_c[:, first:], [block[:, first:] for block in joint]
        )
        if self.layout.labels > 1:
            prior_given_labels = torch.where(observed, prior_given_labels, marginal_prior[:, :labelled])
        log_predictive = self.log_predictive(
            mean[:labelled], scale[:labelled], z_c[:, :labelled], labels, observed
        )
        weight, label_term = self.weight(z_c[:, :labelled], labels, observed, log_predictive)
        supervised = (weight * (bracket[:, :labelled] + prior_given_labels.sum(-1) - label_term)).sum(0)
        supervised = supervised + config.classifier_weight * log_predictive
        supervised = supervised + labels_prior.masked_fill(~observed, 0).sum(-1)
        unsupervised = (bracket[:, labelled:] + marginal_prior[:, labelled - first :].sum(-1)).mean(0)
        objective = torch.cat([supervised, unsupervised])
        log_prior = log_style_prior + concat_blocks([block.logsumexp(-1) for block in joint]).sum(-1)
        return Losses(
            objective=objective,
            terms={
                "objective": term(objective),
                "log_likelihood": term(log_likelihood.mean(0)),
                "kl": term((log_posterior - log_prior).mean(0)),
                "labelled/log_predictive": term(log_predictive),
                "labelled/largest_weight": term(weight.amax(0) * config.importance_samples),
                "unlabelled/elbo": term(unsupervised),
            },
        )

    def log_predictive(
        self,
        mean: Float[Tensor, "labelled latent"],
        scale: Float[Tensor, "labelled latent"],
        own: Float[Tensor, "sample labelled characteristic"],
        labels: UInt8[Tensor, "labelled label"],
        observed: Bool[Tensor, "labelled label"],
    ) -> Float[Tensor, " labelled"]:
        """``log q(y | x)`` of the observed labels; ``own`` are the samples of ``z_c`` that are decoded."""
        choice, size = self.config.posterior_predictive, self.layout.latents
        mean, scale = mean[:, :size], scale[:, :size]
        if choice != "quadrature":
            log_q = self.classifier.of(self.predictive_sample(mean, scale, own), labels)
            return monte_carlo(log_q, observed, joint=choice == "monte_carlo_joint")
        means, scales, owns = (self.layout.split_latents(latents) for latents in (mean, scale, own))
        each = []
        for block, classifier in enumerate(self.classifier.blocks):
            given = self.layout.split_labels(labels)[block]
            if isinstance(classifier, DiagonalClassifier):
                each.append(self.quadrature.log_predictive(classifier, means[block], scales[block], given))
            else:
                z = self.predictive_sample(means[block], scales[block], owns[block])
                each.append(log_mean_exp(classifier.of(z, given)))  # type: ignore[operator]
        return concat_blocks(each).masked_fill(~observed, 0).sum(-1)

    def predictive_sample(
        self, mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"], own: Tensor
    ) -> Float[Tensor, "sample rows latent"]:
        """Samples that estimate ``q(y | x)``: fresh ones, and ``own`` if the weight is bounded."""
        samples = sample(mean, scale, self.config.predictive_samples)
        return torch.cat([samples, own]) if self.config.bounded_weight else samples

    def weight(
        self, z_c: Tensor, labels: Tensor, observed: Tensor, log_predictive: Tensor
    ) -> tuple[Float[Tensor, "sample labelled"], Float[Tensor, "sample labelled"]]:
        """The importance weight ``w`` (over samples) and the term ``log q(y | z̄_c)`` of the bracket."""
        config = self.config
        source = z_c if config.reparameterise_classifier else z_c.detach()
        label_term = self.classifier.of(source, labels).masked_fill(~observed, 0).sum(-1)
        if config.weight_gradient != "as_printed":
            label_term = label_term.detach()
        if config.importance_samples > 1:  # self-normalised: q(y|x) cancels
            weight = label_term.softmax(0)
        else:
            log_weight = label_term - log_predictive
            if config.weight_limit is not None:  # scaled down, not clamped: this limits its gradient too
                log_weight = log_weight - (log_weight.detach() - math.log(config.weight_limit)).clamp(min=0)
            weight = log_weight.exp()
        return (weight.detach() if config.weight_gradient == "none" else weight), label_term
