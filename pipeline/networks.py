"""Networks of the papers: encoders to a diagonal Gaussian, decoders to pixel logits, and small MLPs.

The 784–600–600–2m encoder and its mirror are those of ReVAE's appendix and CCVAE's D.6.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

SMALLEST_SCALE = 1e-3


def full_precision(values: Tensor) -> Tensor:
    """The values in torch's default dtype: float32 in every run, under autocast too; float64 where a test sets it."""
    return values.to(torch.get_default_dtype())


def mlp(sizes: Sequence[int]) -> nn.Sequential:
    """Linear layers of the given sizes with ReLU between them (none behind the last)."""
    layers: list[nn.Module] = []
    for width_in, width_out in itertools.pairwise(sizes):
        layers += [nn.Linear(width_in, width_out), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def split_mean_and_scale(
    parameters: Float[Tensor, "*batch twice_latent"],
) -> tuple[Float[Tensor, "*batch latent"], Float[Tensor, "*batch latent"]]:
    """Mean and standard deviation (softplus, at least 1e-3) in full precision from a layer of twice that width."""
    mean, raw_scale = full_precision(parameters).chunk(2, dim=-1)
    return mean, functional.softplus(raw_scale).clamp(min=SMALLEST_SCALE)


class ConditionedMLP(nn.Module):
    """An MLP over ``(input, condition)`` that does not repeat the input once per condition.

    Its first layer is one linear map of the concatenation, computed as the sum of two: where an input meets every
    condition (M2's enumeration of classes) the wide half is computed once.
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


def one_hot(labels: Tensor, cardinality: int) -> Tensor:
    """One-hot rows of integer labels, in full precision."""
    return full_precision(functional.one_hot(labels.long(), cardinality))
