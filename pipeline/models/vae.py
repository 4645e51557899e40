"""A plain VAE (Kingma and Welling 2014): ``p(z) p(x | z)`` with ``p(z) = N(0, I)``; it uses no labels.

    β_x E_{q(z|x)} [ log p(x|z) ] − β_z KL(q(z|x) ‖ p(z))

With both weights 1 it is the bound; β_z makes it a β-VAE. Klys et al. 2018 (section 4.3) switch an attribute of it by
arithmetic: ``decode(μ(x) − m_i + m_j)``, ``m_i`` being the mean of ``μ`` over the images that have the value i.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.models.capabilities import ClassMeans, KnownLabels
from pipeline.models.interface import DataSpec, Losses, to_pixels
from pipeline.models.parts.densities import standard_gaussian_kl
from pipeline.models.parts.importance import WeighsSamplesOfPosterior
from pipeline.models.parts.weighted_bound import WeightedVAEConfig, weighted_bound


@dataclass(frozen=True, kw_only=True, slots=True)
class VAEConfig(WeightedVAEConfig):
    """A VAE without labels."""

    system: Annotated[Literal["vae"], tyro.conf.Suppress] = "vae"

    def build(self, data: DataSpec) -> VAE:
        return VAE(self, data)


class VAE(WeighsSamplesOfPosterior):
    """A VAE for images."""

    def __init__(self, config: VAEConfig, data: DataSpec) -> None:
        super().__init__(config, data, latents=config.latent_size)
        self.config = config

    def forward(self, batch: Batch) -> Losses:
        """The objective of each example, from one sample of ``z``; its KL is analytic."""
        pixels = to_pixels(batch.image)
        mean, scale = self.posterior(pixels)
        log_likelihood = self.log_likelihood(pixels, mean + scale * torch.randn_like(mean))
        return weighted_bound(self.config, log_likelihood, standard_gaussian_kl(mean, scale))

    # capabilities

    def switching_points(self, label: int, means: ClassMeans) -> Float[Tensor, "value point"]:
        """``m_i`` of each value."""
        return means.of(label)

    def switch_attribute(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
        points: Float[Tensor, "value point"] | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """``decode(μ(x) − m_i + m_j)`` from the known value i of each image to the given value j; all draws are the same.

        It has no separate part for one label: what the means of the two values have in common stays unchanged.

        Raises:
            ConfigError: without points, or if the label of an image is not known.
        """
        if points is None or labels is None or not bool(labels.observed[:, label].all()):
            raise ConfigError(
                "vae switches an attribute from the known label of each image, by the mean code of each value:"
                " it needs both"
            )
        own = points[labels.labels[:, label].long()]
        return self.decode(self.encode(image) - own + points[values.long()]).expand(draws, -1, -1, -1, -1)
