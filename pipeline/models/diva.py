"""DIVA as Joy et al. 2021 modify it (appendix C.4) to capture the characteristics of labels: no domains, factorised labels.

Generative:  ``p(y) p(z_c | y) p(z_s) p(x | z)``     Inference: ``q(z | x)``, ``q(y | z_c)``

As in CCVAE, each label has its own latents ``z_i``. Of each example a set ``O`` of labels is observed, and

    L(x, y_O) = E_{q(z|x)} [ log p(x|z) ] − β KL(q(z_s|x) ‖ p(z_s)) − β Σ_{i∈O} KL(q(z_i|x) ‖ p(z_i|y_i))
                − β Σ_{i∉O} E_{q(z_i|x)} [ log q(z_i|x) − log p(z_i) ]  +  α Σ_{i∈O} E_{q(z_i|x)} [ log q(y_i|z_i) ]

With all labels observed this is the paper's supervised objective, with none its unsupervised one; with β = 1 and α = 0 it is
a bound of ``log p(x | y_O)``. Two corrections of the paper:

* The term with α is in its unlabelled sum, where there is no ``y``; it belongs to the labelled one.
* Without a label it imputes ``y``: ``E_{q(y|z_c)} [log p(z_c|y) + log p(y) − log q(y|z_c)]``, a lower bound of the
  ``log p(z_c)`` above. Since labels are factorised, that expectation is a sum over each label's values, without sampling
  (``jensen_enumerated``); so is ``log p(z_c)`` itself (``exact``), which however does not train a classifier.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.conditional_prior_vae import ConditionalPriorVAE
from pipeline.models.parts.densities import gaussian_kl, gaussian_log_density, standard_gaussian_kl
from pipeline.models.parts.label_classifier import concat_blocks
from pipeline.models.parts.label_estimators import LabelMarginal
from pipeline.models.parts.own_readings import OwnReadingsConfig


@dataclass(frozen=True, kw_only=True, slots=True)
class AnyDivaConfig(OwnReadingsConfig):
    """The fields of DIVA with and without domains."""

    label_marginal: LabelMarginal = "jensen_enumerated"
    """Estimator of ``log p(z_i)`` of an unobserved label: the sum over its values, or the paper's bound of it by values
    imputed from ``q(y | z_c)``, enumerated or sampled. Only the latter two train ``q(y | z_c)`` without labels."""
    kl_weight: float = 1.0
    """Factor β of the divergences; 1 is the bound."""
    classifier_weight: float = 50.0
    """Factor α of ``log q(y | z_c)`` on observed labels; Joy et al. do not give theirs."""

    def __post_init__(self) -> None:
        OwnReadingsConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(0, self, "kl_weight", "classifier_weight")


@dataclass(frozen=True, kw_only=True, slots=True)
class DivaConfig(AnyDivaConfig):
    """DIVA without domains, for binary labels, multi-class labels, and mixes."""

    system: Annotated[Literal["diva"], tyro.conf.Suppress] = "diva"

    def build(self, data: DataSpec) -> Diva:
        return Diva(self, data)


class Diva(ConditionalPriorVAE):
    """DIVA for images with any labels."""

    kl_weight: Tensor
    classifier_weights: Tensor

    def __init__(self, config: AnyDivaConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.label_marginal = config.label_marginal
        weights = torch.full((self.layout.labels,), float(config.classifier_weight))
        self.register_buffer("classifier_weights", weights, persistent=False)  # of arranged labels
        self.register_buffer("kl_weight", torch.tensor(float(config.kl_weight)), persistent=False)

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``, for any set of observed labels."""
        labelled, pixels = batch.labelled, to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        z = mean + scale * torch.randn_like(mean)
        (z_c, _), (mean_c, mean_s), (scale_c, scale_s) = map(self.split, (z, mean, scale))
        log_likelihood = self.log_likelihood(pixels, z)

        # Only rows with an observed label, which come first, need what depends on its value.
        labels, observed = self.layout.in_block_order(batch.labels[:labelled], batch.observed[:labelled])
        label_kl = self.kl_given(labels, mean_c[:labelled], scale_c[:labelled])
        # A labelled row's single label is observed; with several labels, some may not be.
        first = labelled if self.layout.labels == 1 else 0
        marginal_kl = self.kl_from_marginal(z_c[first:], mean_c[first:], scale_c[first:])
        if self.layout.labels > 1:
            label_kl = torch.where(observed, label_kl, marginal_kl[:labelled])
        kl = torch.cat([label_kl, marginal_kl[labelled - first :]]).sum(-1) + standard_gaussian_kl(
            mean_s, scale_s
        )
        log_q = self.classifier.of(z_c[:labelled], labels).masked_fill(~observed, 0)
        objective, elbo = log_likelihood - self.kl_weight * kl, log_likelihood - kl
        objective = torch.cat(
            [objective[:labelled] + (self.classifier_weights * log_q).sum(-1), objective[labelled:]]
        )
        losses = Losses.of(
            objective,
            elbo,
            {"log_likelihood": log_likelihood, "kl": kl, "labelled/log_predictive": log_q.sum(-1)},
        )
        return self.with_own_readings(losses, batch, mean, scale)

    def kl_given(
        self,
        labels: UInt8[Tensor, "rows label"],
        mean: Float[Tensor, "rows characteristic"],
        scale: Float[Tensor, "rows characteristic"],
    ) -> Float[Tensor, "rows label"]:
        """``KL(q(z_i | x) ‖ p(z_i | y_i))`` of each label, in closed form."""
        each = map(self.layout.latents_by_label, (mean, scale, *self.conditional_prior.of_labels(labels)))
        return concat_blocks([gaussian_kl(*block) for block in zip(*each, strict=True)])

    def kl_from_marginal(
        self,
        z_c: Float[Tensor, "rows characteristic"],
        mean: Float[Tensor, "rows characteristic"],
        scale: Float[Tensor, "rows characteristic"],
    ) -> Float[Tensor, "rows label"]:
        """``log q(z_i | x) − log p(z_i)`` of each label at a sample, ``log p(z_i)`` by the chosen estimator."""
        each = map(self.layout.latents_by_label, (z_c, mean, scale))
        log_posterior = concat_blocks([gaussian_log_density(*block) for block in zip(*each, strict=True)])
        return log_posterior - self.marginal_prior(
            self.label_marginal, z_c, self.conditional_prior.joint(z_c)
        )
