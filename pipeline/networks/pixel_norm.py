"""The networks of Rb-VAE's appendix A.4 (Ruiz et al. 2019), made of the blocks of Karras et al. 2018.

A block is a 3 × 3 convolution, a leaky ReLU of slope 0.2, and pixel-wise normalisation. The encoder has average pooling
after each, the decoder nearest-neighbour up-sampling before each; a linear layer is between the pixels that are left and the
latents. Images are in [−1, 1] inside, and the decoder ends in a hyperbolic tangent: ``tanh(u) = 2 sigmoid(2u) − 1``, so its
logits are ``2u``. Figure 7 itself is a picture, which gives the widths; ours double with each halving, 16 to at most 256.
"""

from __future__ import annotations

import itertools
import math

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.networks.convolutional import required_halvings
from pipeline.networks.families import Features, ImageShape, Networks
from pipeline.networks.layers import Decoder, full_precision, he_initialised

SLOPE = 0.2
NARROWEST, WIDEST = 16, 256
HIDDEN = 256
"""Width of the hidden layer of encoders that also take a condition."""


class PixelNorm(nn.Module):
    """Divides the channels of each pixel by their root mean square (section 4.2 of Karras et al. 2018)."""

    def forward(self, images: Float[Tensor, "row channel *pixel"]) -> Float[Tensor, "row channel *pixel"]:
        square = full_precision(images).square().mean(1, keepdim=True)
        return images * (square + 1e-8).rsqrt().to(images.dtype)


class Centred(nn.Module):
    """Flat images in [0, 1] as images in [−1, 1]."""

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__()
        self.image_shape = image_shape

    def forward(self, pixels: Float[Tensor, "row pixel"]) -> Float[Tensor, "row channel height width"]:
        return 2 * pixels.unflatten(-1, self.image_shape) - 1


class LogitsOfTanh(nn.Module):
    """``2u``, flat: its sigmoid is the hyperbolic tangent of ``u``, brought to [0, 1]."""

    def forward(self, images: Float[Tensor, "row channel height width"]) -> Float[Tensor, "row pixel"]:
        return 2 * images.flatten(1)


class PixelNormalised(Networks):
    """Figure 7's networks for square images, in grey or in colour."""

    def __init__(self, image_shape: ImageShape) -> None:
        super().__init__(image_shape)
        self.halvings, self.rest = required_halvings(image_shape, "pixel_norm")
        self.channels = [min(NARROWEST * 2**number, WIDEST) for number in range(self.halvings)]

    def encoder(self, outputs: int) -> nn.Module:
        features = self.features()
        return nn.Sequential(features.network, nn.Linear(features.size, outputs))

    def features(self) -> Features:
        layers: list[nn.Module] = [Centred(self.image_shape)]
        for width_in, width_out in itertools.pairwise([self.image_shape[0], *self.channels]):
            layers += [*_block(width_in, width_out), nn.AvgPool2d(2)]
        size = self.channels[-1] * self.rest**2
        return Features(nn.Sequential(*layers, nn.Flatten(1)), size, (HIDDEN,))

    def decoder(self, latents: int) -> nn.Module:
        shape = (self.channels[-1], self.rest, self.rest)
        layers: list[nn.Module] = [nn.Linear(latents, math.prod(shape)), nn.Unflatten(1, shape)]
        layers += [nn.LeakyReLU(SLOPE), PixelNorm()]
        for width_in, width_out in itertools.pairwise(reversed(self.channels)):
            layers += [nn.Upsample(scale_factor=2, mode="nearest"), *_block(width_in, width_out)]
        # No ReLU follows, which would halve the variance.
        last = he_initialised(nn.Conv2d(NARROWEST, self.image_shape[0], 3, padding=1), 2 * 9 * NARROWEST)
        return Decoder(*layers, nn.Upsample(scale_factor=2, mode="nearest"), last, LogitsOfTanh())


def _block(width_in: int, width_out: int) -> tuple[nn.Module, nn.Module, nn.Module]:
    convolution = nn.Conv2d(width_in, width_out, 3, padding=1)
    return he_initialised(convolution, 9 * width_in), nn.LeakyReLU(SLOPE), PixelNorm()


# The names in models that were pickled before these were read from elsewhere.
_Centred, _LogitsOfTanh = Centred, LogitsOfTanh
