"""Random draws that a test decides, in place of those of torch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


def noise(*shape: int, seed: int) -> Tensor:
    """Standard normal float64 numbers, also while ``torch.randn`` is replaced."""
    return torch.empty(shape, dtype=torch.float64).normal_(generator=torch.Generator().manual_seed(seed))


def spread_noise(samples: int) -> Tensor:
    """Equally probable values of a standard normal, (sample, 1): a sample mean over them is nearly its expectation."""
    levels = (torch.arange(samples, dtype=torch.float64) + 0.5) / samples
    return torch.special.ndtri(levels)[:, None]


class InjectedDraws:
    """Supplies noise and classes in the given order; a draw of a different shape is an error."""

    def __init__(self) -> None:
        self._noise: list[Tensor] = []
        self._classes: list[Tensor] = []

    def give(self, *noise: Tensor, classes: tuple[Tensor, ...] = ()) -> None:
        """Set the next draws."""
        assert not self._noise, "the previous noise was not used up"
        assert not self._classes, "the previous classes were not used up"
        self._noise, self._classes = list(noise), list(classes)

    def randn(self, *shape: int, **_: Any) -> Tensor:
        """In place of ``torch.randn``."""
        given = self._noise.pop(0)
        assert tuple(given.shape) == shape, f"given noise of {tuple(given.shape)}, asked for {shape}"
        return given.to(torch.get_default_dtype())

    def randn_like(self, tensor: Tensor) -> Tensor:
        """In place of ``torch.randn_like``."""
        return self.randn(*tensor.shape)

    def sample(self) -> Tensor:
        """In place of ``ClassDistribution.sample``."""
        return self._classes.pop(0)
