"""Layers that all systems and families of networks share: MLPs, decoders of latents with any leading axes, scales."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

SMALLEST_SCALE = 1e-3


def full_precision(values: Tensor) -> Tensor:
    """The values in torch's default dtype: float32 in every run, also under autocast; float64 if a test sets it."""
    return values.to(torch.get_default_dtype())


def held_fixed(network: nn.Module, *inputs: Any) -> Any:
    """The network's output, whose gradients reach the inputs but none of its parameters."""
    fixed = {name: parameter.detach() for name, parameter in network.named_parameters()}
    return functional_call(network, fixed, inputs)


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


def he_initialised(layer: nn.Conv2d | nn.ConvTranspose2d, inputs: int) -> nn.Module:
    """The layer with He initialisation: a ReLU after it preserves the variance of ``inputs`` inputs (He et al. 2015).

    With torch's default, ten layers leave so little difference between images that CCVAE is still at the majority after
    hundreds of steps (``docs/results.md``).
    """
    nn.init.normal_(layer.weight, std=math.sqrt(2 / inputs))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class Decoder(nn.Sequential):
    """Layers from rows of latents to the pixel logits of images, flat; the sigmoid is in the likelihood."""

    def forward(
        self, z: Float[Tensor, "*rows latent"], condition: Float[Tensor, "*more_rows condition"] | None = None
    ) -> Float[Tensor, "*all_rows pixel"]:
        """Logits for latents, and for conditions after them, whose leading axes broadcast."""
        inputs = z if condition is None else concatenated(z, condition)
        return super().forward(inputs.flatten(0, -2)).unflatten(0, inputs.shape[:-1])


class ConditionedMLP(nn.Module):
    """An MLP over ``(input, condition)`` that does not repeat the input for each condition.

    Its first layer is one linear map of the concatenation, computed as the sum of two: if an input meets every
    condition (M2's enumeration of classes) the wide half is computed once. After the features of a convolutional family
    it makes an encoder with a condition, at the cost of one more hidden layer.
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
