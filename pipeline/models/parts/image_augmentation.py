"""Random changes of pictures that leave their labels as they are: shifts, flips, blur and noise, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pipeline.networks import full_precision


@dataclass(frozen=True, kw_only=True, slots=True)
class Augmentation:
    """How far pictures are changed; 0 everywhere changes nothing."""

    shift: float
    """Largest shift to each side, as a share of the side; pixels at the edge are repeated."""
    flips: bool
    """Whether half of the images are mirrored."""
    blur: float
    """Largest share of a 5 × 5 binomial blur that is mixed into an image."""
    noise: float
    """Largest standard deviation of the pixels' noise."""

    @torch.no_grad()
    def __call__(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Changed pixels in [0, 1], from torch's random numbers; each of blur and noise changes half of the images."""
        moved = full_precision(self._moved(image)) / 255
        if self.blur:
            moved = softened(moved, self.blur)
        if self.noise:
            strength = _strength(image, self.noise)
            moved = (moved + strength * torch.randn_like(moved)).clamp(0, 1)
        return moved

    def _moved(self, image: Tensor) -> Tensor:
        height, width = image.shape[2:]
        if not self.shift and not self.flips:
            return image
        return shifted(image, round(self.shift * height), round(self.shift * width), flips=self.flips)


def shifted(
    image: UInt8[Tensor, "batch channel height width"],
    most_down: int,
    most_right: int,
    *,
    flips: bool = False,
) -> UInt8[Tensor, "batch channel height width"]:
    """Images moved by up to so many pixels to each side, pixels at the edge repeated; with ``flips`` half are mirrored."""
    rows, _, height, width = image.shape
    down, right = (
        (torch.rand(rows, 1, device=image.device) * (2 * most + 1)).long() - most
        for most in (most_down, most_right)
    )
    mirrored = torch.rand(rows, 1, device=image.device) < (0.5 if flips else 0.0)
    y, x = (torch.arange(side, device=image.device).expand(rows, -1) for side in (height, width))
    x = torch.where(mirrored, width - 1 - x, x)
    y, x = (y + down).clamp(0, height - 1), (x + right).clamp(0, width - 1)
    first = torch.arange(rows, device=image.device)[:, None, None]
    # Indexed with the channels last, as advanced indices around a slice are.
    return image.permute(0, 2, 3, 1)[first, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)


def softened(
    images: Float[Tensor, "batch channel height width"], largest: float
) -> Float[Tensor, "batch channel height width"]:
    """Half of the images with a share of their blur mixed in, uniform up to the largest."""
    return images + _strength(images, largest) * (blurred(images) - images)


def _strength(image: Tensor, largest: float) -> Tensor:
    """Per image uniform up to the largest; 0 for half of the images."""
    drawn = torch.rand(len(image), 1, 1, 1, device=image.device)
    return largest * (2 * drawn - 1).clamp(min=0)


def blurred(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Images under a 5 × 5 binomial kernel, the edges repeated."""
    # The kernel is four means of neighbours in a row, both ways. As a convolution autocast would round it.
    images = functional.pad(images, (2, 2, 2, 2), mode="replicate")
    for _ in range(4):
        images = images[..., :-1, :] + images[..., 1:, :]
        images = images[..., :-1] + images[..., 1:]
    return images / 256
