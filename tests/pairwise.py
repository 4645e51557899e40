"""Choices of settings in which every two values of two settings meet: a few, where all combinations would be many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import combinations, product
from typing import Any

Choice = dict[str, Any]


def pairwise(
    settings: Mapping[str, Sequence[Any]], allowed: Callable[[Choice], bool] = lambda choice: True
) -> list[Choice]:
    """Choices of one value per setting, such that each pair of values that an allowed choice has is in one of them.

    The next one is always the first of those that have most pairs which none before it had.
    """
    every = [dict(zip(settings, values, strict=True)) for values in product(*settings.values())]
    # By the places of the values, which need not be hashable.
    places = [tuple(where) for where in product(*(range(len(values)) for values in settings.values()))]
    pairs = [
        set(combinations(enumerate(where), 2))
        for where, choice in zip(places, every, strict=True)
        if allowed(choice)
    ]
    every = [choice for choice in every if allowed(choice)]
    missing = set[Any]().union(*pairs)
    chosen = []
    while missing:
        best = max(range(len(every)), key=lambda index: len(pairs[index] & missing))
        chosen.append(every[best])
        missing -= pairs[best]
    return chosen
