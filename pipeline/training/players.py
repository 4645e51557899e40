"""Norms of gradients, of the players of adversarial training and of watched parts; discriminators that win outright."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from pipeline.models.interface import Adversary, WatchesGradients
from pipeline.tracking.metric_log import EPOCHS_WON

log = logging.getLogger(__name__)

MODEL = "model"
"""The player that owns all parameters that no adversary does."""
GRADIENT_NORM = "gradient_norm/"
"""Prefix of the norm of a player's or part's gradient, among the terms of a step."""
GRADIENT_NORM_SQUARED = "gradient_norm_squared/"
"""Prefix of its square, of a watched part."""
ACCURACY = "discriminator_accuracy"
"""Last part of the name of a term: how often a discriminator is right."""
WON = 0.99
"""A discriminator wins an epoch if its accuracy is above this: it then tells the model little of what to change."""

Player = tuple[str, tuple[nn.Parameter, ...]]
"""Its name, and its parameters."""


def players(model: nn.Module, adversaries: Sequence[Adversary]) -> list[Player]:
    """The model first; empty if it trains no adversary."""
    if not adversaries:
        return []
    taken = {parameter for adversary in adversaries for parameter in adversary.parameters}
    own = tuple(parameter for parameter in model.parameters() if parameter not in taken)
    return [(MODEL, own), *((adversary.name, adversary.parameters) for adversary in adversaries)]


class GradientNorms:
    """The terms of a model's gradients: the norm of each player, and of each watched part, with its square."""

    def __init__(self, model: nn.Module, adversaries: Sequence[Adversary]) -> None:
        self._players = players(model, adversaries)
        parts = model.watched_parts() if isinstance(model, WatchesGradients) else {}
        self._watched: list[Player] = list(parts.items())

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._players or self._watched)

    @property
    def names(self) -> tuple[str, ...]:
        """Of ``terms``."""
        norms = [f"{GRADIENT_NORM}{name}" for name, _ in (*self._players, *self._watched)]
        return (*norms, *(f"{GRADIENT_NORM_SQUARED}{name}" for name, _ in self._watched))

    def terms(self) -> list[Float[Tensor, "norm_and_count"]]:
        """Of the current gradients, unscaled."""
        watched = gradient_norms(self._watched)
        squares = [torch.stack([norm.square(), count]) for norm, count in watched]
        return [*gradient_norms(self._players), *watched, *squares]


def gradient_norms(of: Sequence[Player]) -> list[Float[Tensor, "norm_and_count"]]:
    """The norm of each one's gradient as a term: without a count, and 0, if there is none or it is not finite."""
    found = []
    for _, parameters in of:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            found.append(torch.zeros(2, device=parameters[0].device))
            continue
        norm = torch.stack([torch.linalg.vector_norm(each.float()) for each in gradients]).norm()
        finite = norm.isfinite()
        found.append(torch.stack([torch.where(finite, norm, 0.0), finite.float()]))
    return found


class EpochsWon:
    """Counts the epochs that each discriminator won; says so in the log at the first of them in a row."""

    def __init__(self, counts: Mapping[str, int] | None = None) -> None:
        self.counts: dict[str, int] = dict(counts or {})
        """By the name of its accuracy; what a checkpoint keeps."""
        self._winning: set[str] = set()

    def count(self, means: Mapping[str, float], epoch: int) -> dict[str, float]:
        """Take an epoch's means, the first epoch being 1; returns metrics, one for each discriminator."""
        for name in means:
            if not name.endswith(ACCURACY):
                continue
            won = means[name] > WON
            self.counts[name] = self.counts.get(name, 0) + won
            if won and name not in self._winning:
                log.warning(
                    "the discriminator wins outright: %s is %.3f in epoch %d, so that it tells the model little of what to"
                    " change",
                    name,
                    means[name],
                    epoch,
                )
            (self._winning.add if won else self._winning.discard)(name)
        return {
            f"{name.removesuffix(ACCURACY)}{EPOCHS_WON}": float(count) for name, count in self.counts.items()
        }
