"""A model that can do everything, and paints what it was asked for into the brightness of its images."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from pipeline.data.batch import Batch

DECODED = 0.9


def painted(label: int, value: float, draw: float = 0) -> float:
    """The brightness of an image whose label has a value, in the draw of that number."""
    return 0.1 * label + 0.02 * value + 0.003 * draw


class AllAble(nn.Module):
    """Labels in the order of the data set, two latents each, the label's number the first and minus it the second."""

    has_pixel_density = True

    def classify(self, image: Tensor) -> list[Tensor]:
        """Of every label its first value, with what the random numbers of the moment say."""
        shades = [torch.rand(len(image), values) for values in (2, 2, 2, 5)]
        return [(shade + 10 * torch.eye(shade.shape[1])[0]).log_softmax(-1) for shade in shades]

    def log_likelihood_bound(self, batch: Batch) -> Tensor:
        """Minus the mean shade of an image, with noise."""
        assert not batch.observed.any()
        return -batch.image.float().mean((1, 2, 3)) + torch.randn(len(batch))

    def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
        return torch.full(image.shape, DECODED)

    def generate(self, labels: Tensor) -> Tensor:
        shades = (labels * torch.tensor([0.1, 0.02, 0.003, 0.0004])[: labels.shape[1]]).sum(1)
        return shades[:, None, None, None].expand(-1, 3, 64, 64)

    def characteristic_latents(self, image: Tensor, labels: Any = None) -> Tensor:
        labels = torch.arange(4.0).repeat_interleave(2)
        return (labels * torch.tensor([1.0, -1.0]).repeat(4)).expand(len(image), -1)

    def latents_of(self, label: int) -> slice:
        return slice(2 * label, 2 * label + 2)

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        made = torch.zeros(draws, *image.shape)
        for draw in range(draws):
            for row, value in enumerate(values.tolist()):
                made[draw, row] = painted(label, value, draw)
        return made

    def encode(self, image: Tensor, labels: Any = None) -> Tensor:
        return self.characteristic_latents(image)

    def decode(self, code: Tensor) -> Tensor:
        raise NotImplementedError

    def draw(self, label: int, values: Tensor, draws: int) -> Tensor:
        raise NotImplementedError

    def switching_points(self, label: int, means: Any) -> Tensor:
        raise NotImplementedError

    def switch_attribute(
        self,
        image: Tensor,
        label: int,
        values: Tensor,
        draws: int = 1,
        labels: Any = None,
        points: Any = None,
    ) -> Tensor:
        return self.intervene(image, label, values, draws, labels) / 2

    def swap(
        self, characteristics: Tensor, style: Tensor, labels: Any = None, style_labels: Any = None
    ) -> Tensor:
        return (characteristics.float() + 3 * style.float()) / 1020

    def traverse(
        self, image: Tensor, label: int, steps: int, *, start: int = 0, end: int = 1, labels: Any = None
    ) -> Tensor:
        shares = torch.linspace(start, end, steps)
        return torch.stack([torch.full(image.shape, painted(label, share)) for share in shares.tolist()])
