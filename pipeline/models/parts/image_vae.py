"""The base of all systems: an encoder to a diagonal Gaussian, a decoder, and the density of pixels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Annotated, Literal, TypeVar

import tyro
from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.field_checks import check_above_zero, check_at_least, check_choices
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec, to_image, to_pixels
from pipeline.models.parts.densities import (
    bernoulli_log_density,
    gaussian_pixel_log_density,
    laplace_log_density,
)
from pipeline.models.parts.likelihood_bound import BoundOfLosses
from pipeline.networks import full_precision, split_mean_and_scale
from pipeline.networks.choice import NetworkName, check_network, networks_for
from pipeline.networks.families import Networks
from pipeline.own_source import OwnSource, is_own

LAPLACE_SIDE = 64
"""Height and width of images of which ``auto`` takes a Laplace density, also in grey."""
Likelihood = Literal["auto", "bernoulli", "laplace", "gaussian"]
"""``auto``: laplace for images in colour and for those of 64 × 64 pixels, else bernoulli (MNIST, FashionMNIST)."""

_SCALED_DENSITIES = {
    "laplace": laplace_log_density,
    "gaussian": gaussian_pixel_log_density,
}


def choose_likelihood(choice: Likelihood, data: DataSpec) -> Literal["bernoulli", "laplace", "gaussian"]:
    """Resolve ``auto``."""
    if choice == "auto":
        channels, *size = data.image_shape
        return "laplace" if channels > 1 or size == [LAPLACE_SIDE, LAPLACE_SIDE] else "bernoulli"
    return choice


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageVAEConfig:
    """The fields of the networks; a system's own class names it in ``system`` and adds its own."""

    system: Annotated[str, tyro.conf.Suppress]
    network: NetworkName = "auto"
    """Encoder and decoder: `mlp`; `convolutional`, those of CCVAE's table 3, for sides of 28 to 256 pixels; `pixel_norm`,
    those of Rb-VAE's figure 7; or a class of your own (docs/networks.md). `auto`: MLPs up to 32 x 32 pixels (MNIST,
    FashionMNIST), else convolutional (TFD at 48, CelebA, CheXpert and transformed MNIST at 64, AffectNet at 96)."""
    hidden_width: int = 600
    """Width of the two hidden layers of MLP encoders and decoders, and of the features that a class of your own gives M2."""
    likelihood: Likelihood = "auto"
    """``p(x | z)``; `auto`: Laplace for images in colour or of 64 x 64 pixels, else Bernoulli (MNIST)."""
    likelihood_scale: float = 1.0
    """Scale of a Laplace or Gaussian likelihood; black is 0 and white 1."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_network(self.system, self.network)
        check_at_least(1, self, "hidden_width")
        check_above_zero(self, "likelihood_scale")

    def networks(self, data: DataSpec) -> Networks:
        """The networks for such images; ConfigError if the family has none."""
        return networks_for(self.network, data.image_shape, width=self.hidden_width, system=self.system)


AnyImageVAEConfig = TypeVar("AnyImageVAEConfig", bound=ImageVAEConfig)


def settled(config: AnyImageVAEConfig, image_shape: tuple[int, int, int]) -> AnyImageVAEConfig:
    """The configuration, a class of the user's with its absolute path; ConfigError if there are no such networks."""
    networks_for(config.network, image_shape, width=config.hidden_width, system=config.system)
    return (
        replace(config, network=OwnSource.read(config.network).choice) if is_own(config.network) else config
    )


def pixel_density(config: ImageVAEConfig, data: DataSpec) -> Callable[[Tensor, Tensor], Tensor]:
    """``log p(x | z)``, summed over pixels, as a function of pixels and the decoder's logits."""
    likelihood = choose_likelihood(config.likelihood, data)
    if likelihood == "bernoulli":
        return bernoulli_log_density
    return partial(_SCALED_DENSITIES[likelihood], scale=config.likelihood_scale)


class ImageVAE(BoundOfLosses):
    """``q(z | x)``, ``p(x | z)`` and the capabilities that these give; systems add their priors and classifiers."""

    def __init__(
        self, config: ImageVAEConfig, data: DataSpec, *, latents: int, encoder_outputs: int | None = None
    ) -> None:
        """``latents`` numbers are decoded; the encoder outputs their means and scales, or ``outputs`` numbers."""
        super().__init__()
        outputs = 2 * latents if encoder_outputs is None else encoder_outputs
        self.image_shape = data.image_shape
        self.pixel_density = pixel_density(config, data)
        networks = config.networks(data)
        self.encoder = networks.encoder(outputs)
        self.decoder = networks.decoder(latents)

    def posterior(self, pixels: Float[Tensor, "batch pixel"]) -> tuple[Tensor, Tensor]:
        """Mean and scale of ``q(z | x)``, each of shape (batch, latent)."""
        return split_mean_and_scale(self.encoder(pixels))

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Mean of ``q(z | x)``; the encoder does not use labels."""
        return self.posterior(to_pixels(image))[0]

    def log_likelihood(
        self, pixels: Float[Tensor, "batch pixel"], z: Float[Tensor, "*more batch latent"]
    ) -> Float[Tensor, "*more batch"]:
        """``log p(x | z)``, summed over pixels."""
        return self.pixel_density(pixels, self.decoder(z))

    def mean_pixels(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows pixel"]:
        """Mean images in [0, 1], as rows of pixels."""
        return full_precision(self.decoder(code)).sigmoid()

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]."""
        return to_image(self.decoder(code), self.image_shape)

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean."""
        return self.decode(self.encode(image, labels))
