"""Sliced Wasserstein distance of local patches, level by level of a Laplacian pyramid (Karras et al. 2018, section 5).

It sees texture (noise, blur, seams) at each scale, and nothing of how a picture is composed.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

PATCH = 7
"""Side of a patch."""
_SMALLEST = 2 * PATCH
"""Side of the coarsest level, at least: 16 for images of 64 x 64, 14 for 28 x 28."""
_SCALE = 1000
"""Distances are reported in thousandths, as in the paper."""


def laplacian_pyramid(image: Float[Tensor, "row channel height width"]) -> list[Tensor]:
    """What each scale adds to the next coarser one, the finest first; the last level is the coarsest image itself."""
    levels = []
    while min(image.shape[-2:]) >= 2 * _SMALLEST:
        coarser = _blurred(image)[..., ::2, ::2]
        levels.append(image - _doubled(coarser, image))
        image = coarser
    return [*levels, image]


def random_patches(
    image: Float[Tensor, "row channel height width"], per_image: int
) -> Float[Tensor, "patch channel side side"]:
    """Patches at random places, each channel with mean 0 and standard deviation 1 over all of them.

    Images smaller than a patch are one patch each.
    """
    rows, channels, height, width = image.shape
    side = min(PATCH, height, width)
    device = image.device
    top = torch.randint(height - side + 1, (rows, per_image, 1, 1), device=device)
    left = torch.randint(width - side + 1, (rows, per_image, 1, 1), device=device)
    within = torch.arange(side, device=device)
    places = (top + within[:, None]) * width + left + within
    flat = image.flatten(2).gather(2, places.flatten(1)[:, None].expand(-1, channels, -1))
    patches = flat.unflatten(2, (per_image, side, side)).transpose(1, 2).flatten(0, 1)
    centred = patches - patches.mean((0, 2, 3), keepdim=True)
    return centred / centred.square().mean((0, 2, 3), keepdim=True).sqrt().clamp(min=1e-8)


def random_directions(
    dimensions: int, count: int, device: torch.device
) -> Float[Tensor, "direction dimension"]:
    """Unit vectors, uniform over the sphere."""
    return functional.normalize(torch.randn(count, dimensions, device=device), dim=-1)


def sorted_projections(
    patches: Float[Tensor, "patch channel side side"], directions: Float[Tensor, "direction dimension"]
) -> Float[Tensor, "direction patch"]:
    """The patches along each direction, in order."""
    return (directions @ patches.flatten(1).T).sort(dim=-1).values


def sliced_distance(
    one: Float[Tensor, "direction patch"], other: Float[Tensor, "direction patch"]
) -> Float[Tensor, ""]:
    """Mean over directions of the one-dimensional Wasserstein distance of as many sorted projections, in thousandths."""
    return _SCALE * (one - other).abs().mean()


def patch_distances(
    sets: Sequence[Float[Tensor, "row channel height width"]],
    pairs: Sequence[tuple[int, int]],
    *,
    per_image: int,
    directions: int,
) -> Float[Tensor, "pair level"]:
    """Distances between pairs of sets of as many images, at each level, the finest first."""
    levels = []
    for of_sets in zip(*(laplacian_pyramid(each) for each in sets), strict=True):
        patches = [random_patches(each, per_image) for each in of_sets]
        drawn = random_directions(patches[0][0].numel(), directions, patches[0].device)
        projections = [sorted_projections(each, drawn) for each in patches]
        levels.append(torch.stack([sliced_distance(projections[a], projections[b]) for a, b in pairs]))
    return torch.stack(levels, dim=-1)


def _kernel(image: Tensor) -> Float[Tensor, "channel 1 5 5"]:
    """The binomial filter, once for each channel."""
    weights = image.new_tensor([1, 4, 6, 4, 1]) / 16
    return torch.outer(weights, weights).expand(image.shape[1], 1, 5, 5)


def _blurred(image: Float[Tensor, "row channel height width"]) -> Float[Tensor, "row channel height width"]:
    padded = functional.pad(image, (2, 2, 2, 2), mode="reflect")
    return functional.conv2d(padded, _kernel(image), groups=image.shape[1])


def _doubled(image: Tensor, like: Tensor) -> Tensor:
    """Twice as large (as large as the other), between the pixels the mean of their neighbours."""
    spread = torch.zeros_like(like)
    spread[..., ::2, ::2] = 4 * image
    return _blurred(spread)
