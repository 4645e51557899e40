"""Shared by systems that predict each label from its own latents: ``z = (z_c, z_s)`` and ``q(y | z_c)``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec, to_pixels
from pipeline.models.parts.densities import log_mean_exp
from pipeline.models.parts.image_vae import ImageVAEConfig
from pipeline.models.parts.importance import WeighsSamplesOfPosterior
from pipeline.models.parts.label_classifier import DiagonalClassifier, LabelClassifier
from pipeline.models.parts.label_estimators import SigmoidQuadrature
from pipeline.models.parts.label_latents import SwapsByLatents
from pipeline.models.parts.label_layout import LabelLayout, label_blocks, latents_per_label

CLASSIFYING_SAMPLES = 100
"""Samples of ``q(z | x)``, for labels whose ``q(y | x)`` is not a one-dimensional integral."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacteristicVAEConfig(ImageVAEConfig):
    """The fields of the latents, in addition to those of the networks."""

    characteristic_size: int = 10
    """Latents of each multi-class label (m_c, if it is the only label); a binary label has one."""
    label_latents: tuple[int, ...] = ()
    """Latents of each label in the data set's order, to override these; a binary label with several has an MLP
    like a class label."""
    style_size: int = 0
    """Number of the other latents ``z_s``; may be 0."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() does not work in a dataclass with slots
        check_at_least(1, self, "characteristic_size")
        check_at_least(0, self, "style_size")
        if any(size < 1 for size in self.label_latents):
            raise ConfigError(
                f"{self.system}: label_latents is {self.label_latents}; each must be at least 1"
            )


class CharacteristicVAE(SwapsByLatents, WeighsSamplesOfPosterior):
    """``q(z | x)``, ``p(x | z)``, ``q(y | z_c)``, and the capabilities that these give; its code is ``z = (z_c, z_s)``."""

    def __init__(self, config: CharacteristicVAEConfig, data: DataSpec) -> None:
        sizes = latents_per_label(
            data.cardinalities, config.label_latents, config.characteristic_size, config.system
        )
        layout = LabelLayout(label_blocks(data.cardinalities, sizes))
        super().__init__(config, data, latents=layout.latents + config.style_size)
        self.layout = layout
        self.classifier = LabelClassifier(layout)
        self.quadrature = SigmoidQuadrature()

    def split(self, z: Float[Tensor, "*rows latent"]) -> tuple[Tensor, Tensor]:
        """``z_c`` and ``z_s``."""
        size = self.layout.latents
        return z[..., :size], z[..., size:]

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch value"]]:
        """``log q(y_i | x)``, independent of training: binary labels by quadrature, others from 100 samples."""
        each = self.log_predictives(*self.posterior(to_pixels(image)))
        return self.layout.in_data_order([label for block in each for label in block.unbind(1)])

    def log_predictives(
        self, mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"]
    ) -> tuple[Tensor, ...]:
        """``log q(y_i | x)`` of every value, per block (rows, label, value), from ``q(z | x)``, as in ``classify``."""
        found = []
        latents = (self.layout.split_latents(of[:, : self.layout.latents]) for of in (mean, scale))
        for classifier, block_mean, block_scale in zip(self.classifier.blocks, *latents, strict=True):
            if isinstance(classifier, DiagonalClassifier):
                both = [
                    self.quadrature.log_predictive(
                        classifier, block_mean, block_scale, torch.full_like(block_mean, y, dtype=torch.uint8)
                    )
                    for y in (0, 1)
                ]
                found.append(torch.stack(both, dim=-1))
            else:
                found.append(log_mean_exp(classifier(sample(block_mean, block_scale, CLASSIFYING_SAMPLES))))
        return tuple(found)

    @property
    def characteristics(self) -> tuple[slice, ...]:
        """The position of ``z_c`` in ``z``."""
        return (slice(0, self.layout.latents),)

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of ``z_c``."""
        return self.split(self.encode(image, labels))[0]

    def latents_of(self, label: int) -> slice:
        """The position, in ``z`` and in ``z_c``, of the latents of a label of the data set."""
        return self.layout.latents_of(label)


def sample(
    mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"], samples: int
) -> Float[Tensor, "sample rows latent"]:
    """Fresh samples of a diagonal Gaussian."""
    return mean + scale * torch.randn(samples, *mean.shape, device=mean.device)
