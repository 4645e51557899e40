"""The lower bound of ``log p(x)`` in a system's losses, independent of additional or weighted terms in its objective."""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.data.batch import Batch
from pipeline.models.interface import Losses
from pipeline.models.parts.densities import bernoulli_log_density


class BoundOfLosses(nn.Module):
    """``BoundsLikelihood`` for systems over images."""

    pixel_density: Callable[[Tensor, Tensor], Tensor]

    @property
    def has_pixel_density(self) -> bool:
        """Whether ``p(x | z)`` is a density; Bernoulli probabilities of grey pixels are not."""
        return self.pixel_density is not bernoulli_log_density

    def log_likelihood_bound(self, batch: Batch) -> Float[Tensor, " batch"]:
        """Of each image with what is observed of its labels, in nats, from one sample."""
        losses: Losses = self(batch)
        return losses.objective if losses.bound is None else losses.bound
