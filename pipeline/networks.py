"""Networks of the papers: encoders to a diagonal Gaussian, decoders to pixel logits, and small MLPs.

The 784–600–600–2m encoder and its mirror are those of ReVAE's appendix and CCVAE's D.6, the convolutional pair that of
CCVAE's table 3. All of them take images and return pixel logits as flat rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_SCALE = 1e-3


def full_precision(values: Tensor) -> Tensor:
    """The values in torch's default dtype: float32 in every run, also under autocast; float64 if a test sets it."""
    return values.to(torch.get_default_dtype())


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them (none after the last)."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def split_mean_and_scale(
    parameters: Float[Tensor, "*batch twice_latent"],
) -> tuple[Float[Tensor, "*batch latent"], Float[Tensor, "*batch latent"]]:
    """Mean and standard deviation (softplus, at least 1e-3) in full precision from a layer of twice that width."""
    mean, raw_scale = full_precision(parameters).chunk(2, dim=-1)
    return mean, scale_of(raw_scale)


def scale_of(raw_scale: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """A standard deviation from any number: softplus, at least 1e-3."""
    return functional.softplus(raw_scale).clamp(min=SMALLEST_SCALE)


CONVOLUTIONAL_SIDE = 64
"""Height and width of the images that the convolutional networks take."""


CONVOLUTIONAL_FEATURES = 256
"""Size of an image's features after the last convolution."""


def he_initialised(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: int) -> nn.Module:
    """The layer with He initialisation: a ReLU after it preserves the variance of ``inputs`` inputs (He et al. 2015).

    With torch's default, ten layers leave so little difference between images that CCVAE decodes every image to the same
    one for its first thousand steps (``docs/results.md``).
    """
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def convolutional_features(channels: int) -> nn.Sequential:
    """The convolutions of CCVAE table 3: images (channels, 64, 64), flat, to 256 numbers.

    Its "32 × 32" input is a mistake: four halvings give the 4 × 4 pixels of the last convolution only from 64 × 64.
    """
    layers: list[nn.Module] = [nn.Unflatten(-1, (channels, CONVOLUTIONAL_SIDE, CONVOLUTIONAL_SIDE))]
    for width_in, width_out in itertools.pairwise([channels, 32, 32, 64, 128]):
        halving = nn.Conv2d(width_in, width_out, 4, stride=2, padding=1)
        layers += [he_initialised(halving, 16 * width_in), nn.ReLU()]
    last = he_initialised(nn.Conv2d(128, CONVOLUTIONAL_FEATURES, 4), 16 * 128)
    return nn.Sequential(*layers, last, nn.ReLU(), nn.Flatten(1))


def convolutional_encoder(channels: int, outputs: int) -> nn.Sequential:
    """CCVAE table 3: images (channels, 64, 64), flat, to ``outputs`` numbers."""
    return nn.Sequential(*convolutional_features(channels), nn.Linear(CONVOLUTIONAL_FEATURES, outputs))


class ConvolutionalDecoder(nn.Sequential):
    """CCVAE table 3: latents to the pixel logits of images (channels, 64, 64), flat; the sigmoid is in the likelihood."""

    def __init__(self, latents: int, channels: int) -> None:
        # Each output pixel uses one of a kernel's 16 weights if its input is a single pixel, and four where sides double.
        layers: list[nn.Module] = [he_initialised(nn.ConvTranspose2d(256, 128, 4), 256), nn.ReLU()]
        for width_in, width_out in itertools.pairwise([128, 64, 32, 32, channels]):
            doubling = nn.ConvTranspose2d(width_in, width_out, 4, stride=2, padding=1)
            layers += [he_initialised(doubling, 4 * width_in), nn.ReLU()]
        super().__init__(nn.Linear(latents, 256), nn.Unflatten(1, (256, 1, 1)), *layers[:-1], nn.Flatten(1))

    def forward(self, z: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows pixel"]:
        """Logits for latents with any leading axes."""
        return super().forward(z.flatten(0, -2)).unflatten(0, z.shape[:-1])


class ConditionedConvolutionalDecoder(ConvolutionalDecoder):
    """The decoder of table 3 over ``(z, condition)``, concatenated as the input of its first, linear layer."""

    def __init__(self, latents: int, condition_width: int, channels: int) -> None:
        super().__init__(latents + condition_width, channels)

    def forward(  # type: ignore[override]
        self, z: Float[Tensor, "*rows latent"], condition: Float[Tensor, "*more_rows condition"]
    ) -> Float[Tensor, "*all_rows pixel"]:
        """Logits for latents and conditions whose leading axes broadcast."""
        return super().forward(concatenated(z, condition))


class ConditionedMLP(nn.Module):
    """An MLP over ``(input, condition)`` that does not repeat the input for each condition.

    Its first layer is one linear map of the concatenation, computed as the sum of two: if an input meets every
    condition (M2's enumeration of classes) the wide half is computed once. After ``convolutional_features`` it makes
    an encoder of table 3 with a condition, at the cost of one more hidden layer.
    """

    def __init__(self, input_width: int, condition_width: int, sizes: Sequence[int]) -> None:
        super().__init__()
        first = nn.Linear(input_width + condition_width, sizes[0])
        self.input_width = input_width
        self.weight, self.bias = first.weight, first.bias
        self.rest = nn.Sequential(nn.ReLU(), mlp(sizes))

    def forward(
        self, inputs: Float[Tensor, "*rows input"], condition: Float[Tensor, "*more_rows condition"]
    ) -> Float[Tensor, "*all_rows output"]:
        """Output for inputs and conditions whose leading axes broadcast."""
        from_input = functional.linear(inputs, self.weight[:, : self.input_width], self.bias)
        from_condition = functional.linear(condition, self.weight[:, self.input_width :])
        return self.rest(from_input + from_condition)


def concatenated(*parts: Tensor) -> Tensor:
    """Tensors concatenated along their last axis; all other axes broadcast."""
    rows = torch.broadcast_shapes(*[part.shape[:-1] for part in parts])
    return torch.cat([part.expand(*rows, -1) for part in parts], dim=-1)


def one_hot(labels: Tensor, cardinality: int) -> Tensor:
    """One-hot rows of integer labels, in full precision."""
    return full_precision(functional.one_hot(labels.long(), cardinality))
