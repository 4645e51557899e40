from __future__ import annotations

from itertools import combinations, product
from typing import Any

from tests.pairwise import pairwise

SETTINGS: dict[str, list[Any]] = {"a": [1, 2, 3], "b": [False, True], "c": ["x", "y", "z"], "d": [None, 0.5]}


def pairs(choices: list[dict]) -> set:
    return {pair for choice in choices for pair in combinations(choice.items(), 2)}


def test_every_two_values_meet_in_far_fewer_choices_than_there_are():
    every = [dict(zip(SETTINGS, values, strict=True)) for values in product(*SETTINGS.values())]
    chosen = pairwise(SETTINGS)
    assert pairs(chosen) == pairs(every)
    assert len(chosen) <= len(every) / 3
    assert pairwise(SETTINGS) == chosen


def test_what_is_not_allowed_is_not_chosen_and_the_rest_meets():
    def allowed(choice: dict) -> bool:
        return not (choice["a"] == 3 and choice["b"])

    every = [dict(zip(SETTINGS, values, strict=True)) for values in product(*SETTINGS.values())]
    chosen = pairwise(SETTINGS, allowed)
    assert all(map(allowed, chosen))
    assert pairs(chosen) == pairs([choice for choice in every if allowed(choice)])
