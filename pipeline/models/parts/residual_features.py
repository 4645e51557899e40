"""A small residual network (He et al. 2016) from images of any square side to features, with batch norm over all ranks."""

from __future__ import annotations

import itertools
from typing import Any

import torch
import torch.distributed as dist
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.networks import full_precision

LARGEST_STAGE = 16
"""Images are halved until their sides are at most this long; residual blocks work from there on."""


class BatchNorm(nn.BatchNorm2d):
    """Batch norm whose statistics in training are those of the batch of all ranks, like ``nn.SyncBatchNorm`` on any device.

    So training does not depend on the number of ranks, and their running statistics stay equal.
    """

    def forward(self, input: Tensor) -> Tensor:
        if not self.training or not dist.is_initialized() or dist.get_world_size() == 1:
            return super().forward(input)
        values = full_precision(input)
        own = values.new_tensor([values.numel() / values.shape[1]])
        total = _SumOverRanks.apply(torch.cat([values.sum((0, 2, 3)), own]))
        mean, count = total[:-1] / total[-1], total[-1]
        squares = (values - mean[:, None, None]).square().sum((0, 2, 3))
        variance = _SumOverRanks.apply(squares) / count
        self._keep(mean.detach(), variance.detach() * count / (count - 1))
        scale = self.weight * (variance + self.eps).rsqrt()
        shift = self.bias - mean * scale
        return (values * scale[:, None, None] + shift[:, None, None]).to(input.dtype)

    @torch.no_grad()
    def _keep(self, mean: Tensor, unbiased_variance: Tensor) -> None:
        assert self.running_mean is not None and self.running_var is not None  # noqa: PT018
        assert self.num_batches_tracked is not None and self.momentum is not None  # noqa: PT018
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(unbiased_variance, self.momentum)
        self.num_batches_tracked += 1


class _SumOverRanks(torch.autograd.Function):
    @staticmethod
    def forward(_: Any, values: Tensor) -> Tensor:
        total = values.clone()
        dist.all_reduce(total)
        return total

    @staticmethod
    def backward(_: Any, gradient: Tensor) -> Tensor:
        total = gradient.clone()
        dist.all_reduce(total)
        return total


def convolution(
    width_in: int, width_out: int, *, side: int = 3, stride: int = 1
) -> tuple[nn.Conv2d, BatchNorm]:
    """A convolution without bias, with He initialisation, and the batch norm after it."""
    layer = nn.Conv2d(width_in, width_out, side, stride=stride, padding=side // 2, bias=False)
    nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
    return layer, BatchNorm(width_out)


class ResidualBlock(nn.Module):
    """``relu(x + f(x))`` with two convolutions in ``f``; with a stride of 2, ``x`` is halved by a 1 × 1 convolution."""

    def __init__(self, width_in: int, width_out: int, stride: int) -> None:
        super().__init__()
        first = convolution(width_in, width_out, stride=stride)
        self.residual = nn.Sequential(*first, nn.ReLU(), *convolution(width_out, width_out))
        same = width_in == width_out and stride == 1
        self.shortcut = (
            nn.Identity() if same else nn.Sequential(*convolution(width_in, width_out, side=1, stride=stride))
        )

    def forward(
        self, images: Float[Tensor, "row width height side"]
    ) -> Float[Tensor, "row wider lower smaller"]:
        return (self.shortcut(images) + self.residual(images)).relu()


class ResidualFeatures(nn.Sequential):
    """Flat images in [0, 1] to ``size`` features: halvings down to 16 × 16 or less, then three residual blocks."""

    def __init__(self, image_shape: tuple[int, int, int], channels: int) -> None:
        image_channels, *sides = image_shape
        layers: list[nn.Module] = [nn.Unflatten(-1, image_shape)]
        halvings = 0
        while -(-max(sides) // 2**halvings) > LARGEST_STAGE:
            halvings += 1
        widths = [image_channels, *([channels // 2] * max(halvings - 1, 0)), channels]
        for number, (width_in, width_out) in enumerate(itertools.pairwise(widths)):
            layers += [*convolution(width_in, width_out, stride=2 if number < halvings else 1), nn.ReLU()]
        for factor, stride in ((1, 1), (2, 2), (4, 2)):
            layers.append(ResidualBlock(channels * max(factor // 2, 1), channels * factor, stride))
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(1))
        self.size = 4 * channels
