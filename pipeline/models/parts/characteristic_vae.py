"""What systems have in common whose labels are read from latents of their own: ``z = (z_c, z_s)`` and ``q(y | z_c)``."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least
from pipeline.models.interface import DataSpec, to_pixels
from pipeline.models.parts.densities import log_mean_exp
from pipeline.models.parts.image_vae import ImageVAE, ImageVAEConfig
from pipeline.models.parts.label_classifier import DiagonalClassifier, LabelClassifier
from pipeline.models.parts.label_estimators import SigmoidQuadrature
from pipeline.models.parts.label_layout import LabelLayout, label_blocks, latents_per_label
from pipeline.networks import concatenated

CLASSIFYING_SAMPLES = 100
"""Of ``q(z | x)``, for labels whose ``q(y | x)`` is no one-dimensional integral."""


@dataclass(frozen=True, kw_only=True, slots=True)
class CharacteristicVAEConfig(ImageVAEConfig):
    """The fields that decide the latents, beside those that decide the networks."""

    characteristic_size: int = 10
    """Latents of each label of more than two values (m_c, where it is the only label); a binary label has one."""
    label_latents: tuple[int, ...] = ()
    """Latents of each label in the data set's order, where they are to be others; a binary label with several has an
    MLP like a class label."""
    style_size: int = 0
    """Number of the other latents ``z_s``; may be 0."""

    def __post_init__(self) -> None:
        ImageVAEConfig.__post_init__(self)  # super() and slots do not go together in a dataclass
        check_at_least(1, self, self.system, "characteristic_size")
        check_at_least(0, self, self.system, "style_size")
        if any(size < 1 for size in self.label_latents):
            raise ConfigError(
                f"{self.system}: label_latents is {self.label_latents}; each must be at least 1"
            )


class CharacteristicVAE(ImageVAE):
    """``q(z | x)``, ``p(x | z)``, ``q(y | z_c)``, and what they are enough for."""

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

    def with_latents_of(
        self, label: int, z: Float[Tensor, "*#rows latent"], latents: Float[Tensor, "*#rows own"]
    ) -> Float[Tensor, "*rows latent"]:
        """``z`` with other latents of one label of the data set; leading axes broadcast."""
        own = self.layout.latents_of(label)
        return concatenated(z[..., : own.start], latents, z[..., own.stop :])

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch value"]]:
        """``log q(y_i | x)``, whatever the training used: binary labels by quadrature, others from 100 samples."""
        mean, scale = self.posterior(to_pixels(image))
        found: list[Tensor] = []
        latents = (self.layout.split_latents(of[:, : self.layout.latents]) for of in (mean, scale))
        for classifier, block_mean, block_scale in zip(self.classifier.blocks, *latents, strict=True):
            if isinstance(classifier, DiagonalClassifier):
                both = [
                    self.quadrature.log_predictive(
                        classifier, block_mean, block_scale, torch.full_like(block_mean, y, dtype=torch.uint8)
                    )
                    for y in (0, 1)
                ]
                found += torch.stack(both, dim=-1).unbind(1)
            else:
                found.append(
                    log_mean_exp(classifier(sample(block_mean, block_scale, CLASSIFYING_SAMPLES))).squeeze(1)
                )
        return self.layout.in_data_order(found)

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of ``z_c``."""
        return self.split(self.posterior_mean(image))[0]

    def latents_of(self, label: int) -> slice:
        """Where in ``z_c`` the latents of a label of the data set stand."""
        return self.layout.latents_of(label)

    def swap(
        self,
        characteristics: UInt8[Tensor, "batch channel height width"],
        style: UInt8[Tensor, "batch channel height width"],
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded ``z_c`` of the first and ``z_s`` of the second image of each pair (posterior means)."""
        z_c, _ = self.split(self.posterior_mean(characteristics))
        _, z_s = self.split(self.posterior_mean(style))
        return self.decode(torch.cat([z_c, z_s], dim=-1))


def sample(
    mean: Float[Tensor, "rows latent"], scale: Float[Tensor, "rows latent"], samples: int
) -> Float[Tensor, "sample rows latent"]:
    """Fresh samples of a diagonal Gaussian."""
    return mean + scale * torch.randn(samples, *mean.shape, device=mean.device)
