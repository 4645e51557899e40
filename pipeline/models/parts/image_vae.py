"""The base of all systems: an encoder to a diagonal Gaussian, a decoder, and the density of pixels."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from typing import Annotated, Literal

import tyro
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.field_checks import check_above_zero, check_at_least, check_choices
from pipeline.models.capabilities import KnownLabels
from pipeline.models.interface import DataSpec, to_image, to_pixels
from pipeline.models.parts.densities import (
    bernoulli_log_density,
    gaussian_pixel_log_density,
    laplace_log_density,
)
from pipeline.models.parts.likelihood_bound import BoundOfLosses
from pipeline.networks import (
    CONVOLUTIONAL_SIDE,
    ConvolutionalDecoder,
    convolutional_encoder,
    mlp,
    split_mean_and_scale,
)

log = logging.getLogger(__name__)

Network = Literal["auto", "mlp", "convolutional"]
"""``auto``: convolutional for images of 64 × 64 pixels (CelebA, CheXpert), else mlp, which is logged."""
LARGEST_SIDE_FOR_MLP = 32
"""Of larger images (TFD, AffectNet) no paper uses MLPs, so there is a warning if ``auto`` selects them."""
Likelihood = Literal["auto", "bernoulli", "laplace", "gaussian"]
"""``auto``: laplace for images in colour and for those of 64 × 64 pixels, else bernoulli (MNIST, FashionMNIST)."""

_SCALED_DENSITIES = {
    "laplace": laplace_log_density,
    "gaussian": gaussian_pixel_log_density,
}


def is_of_convolutional_size(data: DataSpec) -> bool:
    """Whether the images have the size of the convolutional networks."""
    return data.image_shape[1:] == (CONVOLUTIONAL_SIDE, CONVOLUTIONAL_SIDE)


def choose_network(choice: Network, data: DataSpec, system: str) -> Literal["mlp", "convolutional"]:
    """Resolve ``auto``; ConfigError if convolutional networks are requested but do not fit."""
    if choice == "convolutional" and not is_of_convolutional_size(data):
        _, height, width = data.image_shape
        raise ConfigError(
            f"{system}: network=convolutional needs images of 64 x 64 pixels; these have {height} x {width}"
        )
    if choice == "auto":
        _log_choice(system, data.image_shape)
        return "convolutional" if is_of_convolutional_size(data) else "mlp"
    return choice


@cache
def _log_choice(system: str, image_shape: tuple[int, int, int]) -> None:
    """Once for all models of a process."""
    _, height, width = image_shape
    if (height, width) == (CONVOLUTIONAL_SIDE, CONVOLUTIONAL_SIDE):
        log.info("%s: network=auto is convolutional, for images of 64 x 64 pixels", system)
    elif max(height, width) <= LARGEST_SIDE_FOR_MLP:
        log.info("%s: network=auto is mlp, for images of %d x %d pixels", system, height, width)
    else:
        log.warning(
            "%s: network=auto is mlp, for images of %d x %d pixels: there are convolutional networks for 64 x 64 only",
            system,
            height,
            width,
        )


def choose_likelihood(choice: Likelihood, data: DataSpec) -> Literal["bernoulli", "laplace", "gaussian"]:
    """Resolve ``auto``."""
    if choice == "auto":
        in_colour = data.image_shape[0] > 1
        return "laplace" if in_colour or is_of_convolutional_size(data) else "bernoulli"
    return choice


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageVAEConfig:
    """The fields of the networks; a system's own class names it in ``system`` and adds its own."""

    system: Annotated[str, tyro.conf.Suppress]
    network: Network = "auto"
    """Encoder and decoder; `auto`: the convolutional ones of table 3 for images of 64 x 64 pixels, else MLPs, with a
    warning for images larger than 32 x 32 (TFD, AffectNet), of which no paper has MLPs."""
    hidden_width: int = 600
    """Width of the two hidden layers of MLP encoders and decoders."""
    likelihood: Likelihood = "auto"
    """``p(x | z)``; `auto`: Laplace for images in colour or of 64 x 64 pixels, else Bernoulli (MNIST)."""
    likelihood_scale: float = 1.0
    """Scale of a Laplace or Gaussian likelihood; black is 0 and white 1."""

    def __post_init__(self) -> None:
        check_choices(self)
        check_at_least(1, self, "hidden_width")
        check_above_zero(self, "likelihood_scale")


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
        self.encoder: nn.Module
        self.decoder: nn.Module
        if choose_network(config.network, data, config.system) == "convolutional":
            channels = data.image_shape[0]
            self.encoder = convolutional_encoder(channels, outputs)
            self.decoder = ConvolutionalDecoder(latents, channels)
        else:
            width = config.hidden_width
            self.encoder = mlp([data.pixels, width, width, outputs])
            self.decoder = mlp([latents, width, width, data.pixels])

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

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]."""
        return to_image(self.decoder(code), self.image_shape)

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch channel height width"]:
        """Decoded posterior mean."""
        return self.decode(self.encode(image, labels))
