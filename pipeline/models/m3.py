"""M3 (Joy et al., ICLR 2021, eq. 2 and appendix A): a VAE with a classifier of its latents.

Generative:  ``p(z) p(x | z)`` with ``p(z) = N(0, I)``     Inference: ``q(z | x)``, ``q(y | z_c)``

    L(x, y_O) = E_{q(z|x)} [ log p(x|z) ] − KL(q(z|x) ‖ p(z)) + α E_{q(z|x)} [ log q(y_O | z_c) ]

over the observed labels ``O`` of each example. Without ``p(z_c | y)``, it generates and intervenes by rejection:
latents of each label are sampled from ``p(z)`` until the classifier is confident of the label.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.label_classifier import DiagonalClassifier
from pipeline.models.parts.label_latents import IntervenesByLatents
from pipeline.models.parts.latent_algebra import with_latents
from pipeline.models.parts.own_readings import OwnReadingsConfig, OwnReadingsVAE

CANDIDATES = 1000
"""Number of samples for a label; if the classifier accepts none, the most probable one is used."""
CANDIDATES_OF_A_STEP = 100
"""The same in training, where consistency needs every label of a batch."""
FARTHEST_LATENT = 10.0
"""Bound of closest flips: a classifier that hardly depends on its latent would need one that the decoder never saw."""


@dataclass(frozen=True, kw_only=True, slots=True)
class M3Config(OwnReadingsConfig):
    """M3 for binary labels, multi-class labels, and mixes."""

    system: Annotated[Literal["m3"], tyro.conf.Suppress] = "m3"
    classifier_weight: float = 50.0
    """Factor α of ``log q(y | z_c)`` on observed labels; 50 is ours, Joy et al. give none."""
    confidence: float = 0.9
    """Probability λ that the classifier must reach when latents are sampled for a label or changed to flip it."""

    def __post_init__(self) -> None:
        OwnReadingsConfig.__post_init__(self)
        check_at_least(0, self, "classifier_weight")
        if not 0.5 <= self.confidence < 1:
            raise ConfigError(
                f"m3: confidence is {self.confidence}; it is a probability, 0.5 or more, below 1"
            )

    def build(self, data: DataSpec) -> M3:
        return M3(self, data)


class M3(IntervenesByLatents, OwnReadingsVAE):
    """M3 for images with any labels."""

    def __init__(self, config: M3Config, data: DataSpec) -> None:
        super().__init__(config, data)
        self.config = config

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``; its KL is analytic."""
        labelled, pixels = batch.labelled, to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        z = mean + scale * torch.randn_like(mean)
        log_likelihood, kl = self.log_likelihood(pixels, z), standard_gaussian_kl(mean, scale)
        elbo = log_likelihood - kl
        labels, observed = self.layout.in_block_order(batch.labels[:labelled], batch.observed[:labelled])
        log_q = self.classifier.of(self.split(z)[0][:labelled], labels).masked_fill(~observed, 0).sum(-1)
        objective = torch.cat([elbo[:labelled] + self.config.classifier_weight * log_q, elbo[labelled:]])
        losses = Losses.of(
            objective, elbo, {"log_likelihood": log_likelihood, "kl": kl, "labelled/log_predictive": log_q}
        )
        return self.with_own_readings(losses, batch, mean, scale)

    def characteristics_of(self, labels: UInt8[Tensor, "rows label"]) -> Float[Tensor, "rows characteristic"]:
        """Accepted latents of arranged labels, each the best of 100 samples where none is accepted."""
        order = (label for block in self.layout.blocks for label in block.labels)
        each = [
            self.accepted_latents(label, labels[:, place], CANDIDATES_OF_A_STEP)
            for place, label in enumerate(order)
        ]
        return torch.cat(each, dim=-1)

    def accepted_latents(
        self, label: int, values: UInt8[Tensor, " rows"], candidates: int = CANDIDATES
    ) -> Float[Tensor, "rows own"]:
        """For each row a sample of ``z_i ~ N(0, I)`` for which ``q(y_i | z_i)`` of its value is at least λ.

        If none of so many candidates is accepted, the most probable one, which is below λ.
        """
        block, place = self.layout.block_of(label)
        own = self.layout.latents_of(label)
        drawn = torch.randn(candidates, len(values), own.stop - own.start, device=values.device)
        classifier = self.classifier.blocks[block]
        if isinstance(classifier, DiagonalClassifier):
            log_q = classifier.of_one(place, drawn)
        else:
            log_q = classifier(drawn)[..., 0, :]
        log_q = log_q.gather(-1, values.long().expand(candidates, -1)[..., None])[..., 0]
        confident = log_q >= math.log(self.config.confidence)
        # The first confident sample; if there is none, the most probable one.
        chosen = torch.where(confident.any(0), confident.to(torch.uint8).argmax(0), log_q.argmax(0))
        return drawn[chosen, torch.arange(len(values), device=values.device)]

    # capabilities

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` for ``z ~ p(z)``, accepted label by label if the classifier is confident of the label.

        If it accepts none of 1,000 samples, the most probable one is used.
        """
        z = torch.randn(len(labels), self.layout.latents + self.config.style_size, device=labels.device)
        for label in range(self.layout.labels):
            z = with_latents(z, self.latents_of(label), self.accepted_latents(label, labels[:, label]))
        return self.decode(z)

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """Accepted latents of the label; if none of 1,000 samples is accepted, the most probable one."""
        return self.accepted_latents(label, values.repeat(draws)).unflatten(0, (draws, -1))

    def flip_closest(
        self, image: UInt8[Tensor, "batch channel height width"], label: int
    ) -> Float[Tensor, "batch channel height width"]:
        """``E[x | z]`` with the closest ``z_i`` at which the other value of a binary label has probability λ.

        It stays within ±10, where a classifier that hardly depends on its latent may be less sure of the other value.

        Raises:
            ConfigError: the label is multi-class, or has several latents: then there is no closed form.
        """
        z = self.encode(image)
        return self.decode(with_latents(z, self.latents_of(label), self.closest_flip(label, z)))

    def closest_flip(self, label: int, z: Float[Tensor, "batch latent"]) -> Float[Tensor, "batch 1"]:
        """The ``z_i`` closest to that of ``z`` at which ``a z_i + b = ±logit λ``, with the sign of the other value.

        It is clamped to ±10, so a classifier that hardly depends on its latent may be less sure there than λ.
        """
        block, place = self.layout.block_of(label)
        classifier = self.classifier.blocks[block]
        if not isinstance(classifier, DiagonalClassifier):
            raise ConfigError(
                f"m3: label {label} is not a binary label with one latent; only those have a closest flip"
            )
        slope, intercept = classifier.slope[place], classifier.intercept[place]
        now = slope * z[:, self.layout.latents_of(label)] + intercept
        wanted = math.log(self.config.confidence / (1 - self.config.confidence))
        other = torch.where(now > 0, -wanted, wanted)
        # If the slope is zero this is infinite (or NaN): the bound applies then too.
        latent = (other - intercept) / slope
        return latent.nan_to_num(0.0).clamp(-FARTHEST_LATENT, FARTHEST_LATENT)
