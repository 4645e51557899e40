"""Terms in which a model reads pictures itself, in addition to a paper's objective: consistency and pseudo-labels.

Consistency (``docs/consistency.md``) asks the decoder to draw changed labels so that the encoder reads them:

    λ E [ Σ_j log q(y'_j | x') ],    x' = E[x | z'], softened and with noise,

where ``z'`` is ``z ~ q(z | x)`` with the latents of changed labels drawn from ``p(z_i | y'_i)``. Labels that are not
observed are those that the classifier reads at ``z``. Encoder, classifier, prior and ``z'`` are held fixed: by this term
the decoder alone learns.

Pseudo-labels (Sohn et al. 2020, FixMatch) ask the encoder for its own confident readings of labels that are not observed:

    λ Σ_i [max q(y_i | x) ≥ τ] log q(ŷ_i | x shifted),    ŷ_i = argmax q(y_i | x),

with ``ŷ`` held fixed, each label by itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, term, to_pixels
from pipeline.models.parts.characteristic_vae import CharacteristicVAE, CharacteristicVAEConfig, sample
from pipeline.models.parts.densities import log_mean_exp
from pipeline.models.parts.image_augmentation import shifted, softened
from pipeline.models.parts.label_changes import LabelChange, changed_labels
from pipeline.models.parts.label_classifier import concat_blocks, values_given
from pipeline.networks import full_precision, held_fixed, split_mean_and_scale

READING_SAMPLES = 10
"""Samples of ``q(z | x')`` whose mean estimates ``q(y_j | x')``: in expectation a lower bound of its logarithm."""


@dataclass(frozen=True, kw_only=True, slots=True)
class OwnReadingsConfig(CharacteristicVAEConfig):
    """The fields of both terms; with the weights at 0, as in every paper, they are not computed."""

    consistency_weight: float = 0.0
    """Factor of ``Σ_j log q(y'_j | x')``, by which the decoder learns to draw labels so that the encoder reads them; 0
    disables it."""
    consistency_change: LabelChange = "one_label"
    """Which labels are changed for it: one of each image; all, to those of another image of the batch; or half of each."""
    consistency_noise: float = 0.1
    """Standard deviation of the noise of its pictures, whose pixels are in [0, 1]."""
    consistency_blur: float = 1.0
    """Largest share of a 5 x 5 blur mixed into half of its pictures."""
    consistency_after_steps: int = 1500
    """Steps before it begins, in which encoder and classifier learn to read."""
    consistency_share: float = 1.0
    """Share of a batch's images for which it is computed, from a random start evenly over the batch; scaled to all."""
    pseudo_label_weight: float = 0.0
    """Factor of ``log q(ŷ_i | x shifted)`` of labels that are not observed, but read with confidence; 0 disables it."""
    pseudo_label_threshold: float = 0.95
    """Probability from which on a reading is a pseudo-label."""
    pseudo_label_shift: int = 2
    """Largest shift, in pixels to each side."""
    pseudo_label_after_epochs: int = 4
    """Epochs before it begins."""

    def __post_init__(self) -> None:
        CharacteristicVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(0, self, "consistency_weight", "consistency_noise", "consistency_after_steps")
        check_at_least(0, self, "pseudo_label_weight", "pseudo_label_shift", "pseudo_label_after_epochs")
        if not 0 < self.consistency_share <= 1:
            raise ConfigError(
                f"{self.system}: consistency_share is {self.consistency_share}; it is a share, above 0 and at most 1"
            )
        if not 0 <= self.consistency_blur <= 1:
            raise ConfigError(
                f"{self.system}: consistency_blur is {self.consistency_blur}; it is a share, 0 to 1"
            )
        if not 0.5 <= self.pseudo_label_threshold < 1:
            raise ConfigError(
                f"{self.system}: pseudo_label_threshold is {self.pseudo_label_threshold}; it is a probability, 0.5 or"
                " more, below 1"
            )


class OwnReadingsVAE(CharacteristicVAE, ABC):
    """A system with ``q(y | z_c)`` and draws of ``z_c`` for given labels, which may have both terms in its objective."""

    def __init__(self, config: OwnReadingsConfig, data: DataSpec) -> None:
        super().__init__(config, data)
        self.own_readings = config
        self.partly_observed = data.partly_observed and len(data.cardinalities) > 1
        self.is_consistent = self.has_pseudo_labels = False

    def begin_step(self, step: int, epoch: int) -> bool:
        """Begin the terms that are due (``HasLaterTerms``)."""
        config, before = self.own_readings, (self.is_consistent, self.has_pseudo_labels)
        self.is_consistent = config.consistency_weight > 0 and step >= config.consistency_after_steps
        self.has_pseudo_labels = config.pseudo_label_weight > 0 and epoch >= config.pseudo_label_after_epochs
        return before != (self.is_consistent, self.has_pseudo_labels)

    @abstractmethod
    def characteristics_of(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows characteristic"]:
        """A fresh ``z_c`` for each row of arranged labels; systems say from what."""

    def with_own_readings(
        self,
        losses: Losses,
        batch: Batch,
        mean: Float[Tensor, "batch latent"],
        scale: Float[Tensor, "batch latent"],
    ) -> Losses:
        """The losses with the terms that have a weight and have begun; ``mean`` and ``scale`` are of ``q(z | x)``.

        They are part of training only, and draw their random numbers after all others of the step.
        """
        config, objective = self.own_readings, losses.objective
        terms: dict[str, Tensor] = {}
        if not self.training or not (config.consistency_weight or config.pseudo_label_weight):
            return losses
        none_yet = torch.zeros(2, device=mean.device)
        if config.pseudo_label_weight:
            terms |= {"pseudo_labels": none_yet, "pseudo_labels_per_image": none_yet}
        if self.has_pseudo_labels:
            value, number = self.agreement_with_pseudo_labels(batch, mean.detach(), scale.detach())
            objective = objective + config.pseudo_label_weight * value
            terms |= {"pseudo_labels": term(value), "pseudo_labels_per_image": term(number)}
        if config.consistency_weight:
            terms |= {"consistency": none_yet}
        if self.is_consistent:
            value = self.consistency(batch, mean.detach(), scale.detach())
            objective = objective + config.consistency_weight * value
            terms |= {"consistency": term(value)}
        bound = losses.objective if losses.bound is None else losses.bound
        terms |= {"objective": term(objective)}
        if losses.bound is None:  # not called a bound: CCVAE's ``log q(y | x)`` may have a large factor
            terms |= {"objective_without_own_readings": term(losses.objective)}
        return Losses(objective=objective, bound=bound, terms=losses.terms | terms)

    def consistency(
        self, batch: Batch, mean: Float[Tensor, "batch latent"], scale: Float[Tensor, "batch latent"]
    ) -> Float[Tensor, " batch"]:
        """``Σ_j log q(y'_j | x')`` of each image decoded with changed labels; gradients reach the decoder alone.

        With a share below 1 it is 0 for the images left out and larger for the others; the expectation is the same.
        """
        config, rows = self.own_readings, len(batch)
        asked = evenly_spread(rows, config.consistency_share, mean.device)
        with torch.no_grad():
            z_c, z_s = self.split(sample(mean, scale, 1)[0])
            labels = self.observed_or_read(batch, z_c)
            wanted, changed = changed_labels(
                config.consistency_change, labels, self.layout.cardinalities, batch
            )
            z_c = torch.where(self.layout.by_latent(changed), self.characteristics_of(wanted), z_c)
        pixels = self.mean_pixels(torch.cat([z_c, z_s], dim=-1)[asked])
        if config.consistency_blur:
            pixels = softened(pixels.unflatten(1, self.image_shape), config.consistency_blur).flatten(1)
        if config.consistency_noise:
            pixels = pixels + config.consistency_noise * torch.randn_like(pixels)
        read_mean, read_scale = split_mean_and_scale(held_fixed(self.encoder, pixels))
        size = self.layout.latents
        samples = sample(read_mean[:, :size], read_scale[:, :size], READING_SAMPLES)
        log_q = [log_mean_exp(of_samples) for of_samples in held_fixed(self.classifier, samples)]
        agreement = values_given(self.layout, log_q, wanted[asked]).sum(-1) * (rows / len(asked))
        return agreement.new_zeros(rows).index_copy(0, asked, agreement)

    def observed_or_read(
        self, batch: Batch, z_c: Float[Tensor, "batch characteristic"]
    ) -> UInt8[Tensor, "batch label"]:
        """Arranged labels: those observed, and of others the value most probable at ``z_c``."""
        labels, observed = self.layout.in_block_order(batch.labels, batch.observed)
        read = concat_blocks([log_q.argmax(-1) for log_q in self.classifier(z_c)])
        return torch.where(observed, labels, read.to(torch.uint8))

    def agreement_with_pseudo_labels(
        self, batch: Batch, mean: Float[Tensor, "batch latent"], scale: Float[Tensor, "batch latent"]
    ) -> tuple[Float[Tensor, " batch"], Float[Tensor, " batch"]]:
        """``Σ_i log q(ŷ_i | x shifted)`` over the pseudo-labels of each image, and how many it has."""
        config = self.own_readings
        first = 0 if self.partly_observed else batch.labelled  # those before have all labels observed
        none = torch.zeros(first, device=mean.device)
        if first == len(batch):
            return none, none
        with torch.no_grad():
            log_q = self.log_predictives(mean[first:], scale[first:])
            best = [of_block.max(-1) for of_block in log_q]
            labels = concat_blocks([indices for _, indices in best]).to(torch.uint8)
            sure = concat_blocks([value for value, _ in best]).exp() >= config.pseudo_label_threshold
            _, observed = self.layout.in_block_order(batch.labels[first:], batch.observed[first:])
            sure = sure & ~observed
        image = shifted(batch.image[first:], config.pseudo_label_shift, config.pseudo_label_shift)
        again = self.log_predictives(*self.posterior(to_pixels(image)))
        agreement = values_given(self.layout, again, labels).masked_fill(~sure, 0).sum(-1)
        return torch.cat([none, agreement]), torch.cat([none, full_precision(sure).sum(-1)])


def evenly_spread(rows: int, share: float, device: torch.device) -> Int64[Tensor, " asked"]:
    """The places of a share of the rows, one at least, from a random start: each with the same probability (Madow 1949)."""
    asked = min(rows, max(1, round(share * rows)))
    if asked == rows:
        return torch.arange(rows, device=device)
    start = torch.rand(1, dtype=torch.float64, device=device)
    places = (torch.arange(asked, device=device) + start) * (rows / asked)
    return places.long().clamp(max=rows - 1)
