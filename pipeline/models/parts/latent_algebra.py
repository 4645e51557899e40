"""Changes of codes whose labels have their own latents: pure functions between ``encode`` and ``decode``.

A code is (*rows, latent), its last axis the decoder's input; ``place`` is the position of a label's latents in it
(``latents_of``). Everything else is copied bit for bit. Leading axes broadcast.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from pipeline.networks import concatenated


def with_latents(
    code: Float[Tensor, "*#rows latent"], place: slice, latents: Float[Tensor, "*#rows own"]
) -> Float[Tensor, "*rows latent"]:
    """The code with the latents at one position replaced: an intervention on a label."""
    return concatenated(code[..., : place.start], latents, code[..., place.stop :])


def swapped(
    characteristics: Float[Tensor, "*#rows latent"],
    style: Float[Tensor, "*#rows latent"],
    places: Sequence[slice],
) -> Float[Tensor, "*rows latent"]:
    """The second code with the ``places`` of the first."""
    for place in places:
        style = with_latents(style, place, characteristics[..., place])
    return style


def straight_path(
    start: Float[Tensor, "*shape"], end: Float[Tensor, "*shape"], steps: int
) -> Float[Tensor, "step *shape"]:
    """``steps`` equidistant points, including both ends."""
    share = torch.linspace(0, 1, steps, device=start.device).unflatten(0, (steps, *[1] * start.ndim))
    return start + share * (end - start)


def traversal(
    code: Float[Tensor, "*rows latent"], place: slice, path: Float[Tensor, "step own"]
) -> Float[Tensor, "step *rows latent"]:
    """The code at each step of a path through one label's latents."""
    return with_latents(code, place, path.unflatten(0, (-1, *[1] * (code.ndim - 1))))


def grid(
    code: Float[Tensor, "*rows latent"],
    down: tuple[slice, Float[Tensor, "row own"]],
    across: tuple[slice, Float[Tensor, "column other"]],
) -> Float[Tensor, "row column *rows latent"]:
    """Two labels at once: the position of each and the path through its latents, one down and one across."""
    return traversal(traversal(code, *across), *down)


def surface(
    corners: Float[Tensor, "2 2 *shape"], rows: int, columns: int
) -> Float[Tensor, "row column *shape"]:
    """Points of the bilinear surface between four corners (the polytope of CCVAE's figure 21)."""
    left, right = (straight_path(corners[0, side], corners[1, side], rows) for side in (0, 1))
    return straight_path(left, right, columns).transpose(0, 1)
