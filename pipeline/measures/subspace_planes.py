"""Two directions in the latents of a label, and points of the plane that they span."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Plane:
    """A plane through the origin of some latents: the axes themselves if there are two, else two principal components."""

    directions: Float[Tensor, "2 latent"]
    """Of length 1, at right angles."""

    @classmethod
    def of(cls, latents: Float[Tensor, "row latent"]) -> Plane:
        """The one in which the latents vary most; directions have their largest entry positive.

        Raises:
            ValueError: there are fewer than two latents.
        """
        size = latents.shape[1]
        if size < 2:
            raise ValueError(f"a plane needs two latents, not {size}")
        if size == 2:
            return cls(torch.eye(2, dtype=latents.dtype))
        components = torch.linalg.svd(latents - latents.mean(0), full_matrices=True).Vh[:2]
        largest = components.gather(1, components.abs().argmax(1, keepdim=True))
        return cls(components * largest.sign())

    def coordinates(self, latents: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows 2"]:
        """Of the latents' projections."""
        return latents @ self.directions.T

    def grid(
        self, latents: Float[Tensor, "row latent"], reach: float, steps: int
    ) -> Float[Tensor, "down across latent"]:
        """Points around the mean of some latents, to ``reach`` of their standard deviations in each direction.

        The first direction goes to the right, the second upwards; the points lie in a plane parallel to it.
        """
        spread = self.coordinates(latents).std(0, correction=0)
        offsets = torch.linspace(-reach, reach, steps, dtype=latents.dtype)
        across = offsets[:, None] * spread[0] * self.directions[0]
        up = offsets.flip(0)[:, None] * spread[1] * self.directions[1]
        return latents.mean(0) + up[:, None] + across
