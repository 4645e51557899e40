"""What systems have in common whose labels are read from latents of their own: ``z = (z_c, z_s)`` and ``q(y | z_c)``."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.models.densities import log_mean_exp
from pipeline.models.image_vae import ImageVAE, Likelihood, Network
from pipeline.models.interface import DataShape, to_pixels
from pipeline.models.label_classifier import DiagonalClassifier, LabelClassifier
from pipeline.models.label_estimators import GaussHermite
from pipeline.models.label_layout import LabelLayout, label_blocks, latents_per_label

CLASSIFYING_SAMPLES = 100
"""Of ``q(z | x)``, for labels whose ``q(y | x)`` is no one-dimensional integral."""


@runtime_checkable
class CharacteristicConfig(Protocol):
    """The fields that decide the latents and the networks."""

    @property
    def system(self) -> str: ...
    @property
    def characteristic_size(self) -> int: ...
    @property
    def label_latents(self) -> tuple[int, ...]: ...
    @property
    def style_size(self) -> int: ...
    @property
    def network(self) -> Network: ...
    @property
    def hidden_width(self) -> int: ...
    @property
    def likelihood(self) -> Likelihood: ...


class CharacteristicVAE(ImageVAE):
    """``q(z | x)``, ``p(x | z)``, ``q(y | z_c)``, and what they are enough for."""

    def __init__(self, config: CharacteristicConfig, data: DataShape) -> None:
        sizes = latents_per_label(
            data.cardinalities, config.label_latents, config.characteristic_size, config.system
        )
        layout = LabelLayout(label_blocks(data.cardinalities, sizes))
        super().__init__(
            data,
            latents=layout.latents + config.style_size,
            hidden_width=config.hidden_width,
            network=config.network,
            likelihood=config.likelihood,
            system=config.system,
        )
        self.layout = layout
        self.classifier = LabelClassifier(layout)
        self.gauss_hermite = GaussHermite()

    def split(self, z: Float[Tensor, "*rows latent"]) -> tuple[Tensor, Tensor]:
        """``z_c`` and ``z_s``."""
        size = self.layout.latents
        return z[..., :size], z[..., size:]

    def with_latents_of(
        self, label: int, z: Float[Tensor, "*#rows latent"], latents: Float[Tensor, "*#rows own"]
    ) -> Float[Tensor, "*rows latent"]:
        """``z`` with other latents of one label of the data set; leading axes broadcast."""
        own = self.layout.latents_of(label)
        rows = torch.broadcast_shapes(z.shape[:-1], latents.shape[:-1])
        parts = (z[..., : own.start], latents, z[..., own.stop :])
        return torch.cat([part.expand(*rows, -1) for part in parts], dim=-1)

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
                    self.gauss_hermite.log_predictive(
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
