"""Random changes of pictures that leave their labels as they are: shifts, flips, blur and noise, image by image."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, UInt8
from torch import Tensor
from torch.nn import functional

from pipeline.networks import full_precision

_BLUR = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)


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
            share = self._strength(image, self.blur)
            moved = moved + share * (blurred(moved) - moved)
        if self.noise:
            strength = self._strength(image, self.noise)
            moved = (moved + strength * torch.randn_like(moved)).clamp(0, 1)
        return moved

    def _moved(self, image: Tensor) -> Tensor:
        rows, _, height, width = image.shape
        if not self.shift and not self.flips:
            return image
        down, right = (self._pixels(rows, side, image.device) for side in (height, width))
        mirrored = torch.rand(rows, 1, device=image.device) < (0.5 if self.flips else 0.0)
        y, x = (torch.arange(side, device=image.device).expand(rows, -1) for side in (height, width))
        x = torch.where(mirrored, width - 1 - x, x)
        y, x = (y + down).clamp(0, height - 1), (x + right).clamp(0, width - 1)
        first = torch.arange(rows, device=image.device)[:, None, None]
        # Indexed with the channels last, as advanced indices around a slice are.
        return image.permute(0, 2, 3, 1)[first, y[:, :, None], x[:, None, :]].permute(0, 3, 1, 2)

    def _pixels(self, rows: int, side: int, device: torch.device) -> Tensor:
        most = round(self.shift * side)
        return (torch.rand(rows, 1, device=device) * (2 * most + 1)).long() - most

    @staticmethod
    def _strength(image: Tensor, largest: float) -> Tensor:
        """Per image uniform up to the largest; 0 for half of the images."""
        drawn = torch.rand(len(image), 1, 1, 1, device=image.device)
        return largest * (2 * drawn - 1).clamp(min=0)


def blurred(
    images: Float[Tensor, "batch channel height width"],
) -> Float[Tensor, "batch channel height width"]:
    """Images under a 5 × 5 binomial kernel, the edges repeated."""
    # Not as a convolution, which autocast would round.
    for axis in (2, 3):
        edges = (2, 2, 0, 0) if axis == 3 else (0, 0, 2, 2)
        padded, side = functional.pad(images, edges, mode="replicate"), images.shape[axis]
        images = torch.stack(
            [weight * padded.narrow(axis, start, side) for start, weight in enumerate(_BLUR)]
        ).sum(0)
    return images
