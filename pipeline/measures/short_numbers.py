"""Numbers of settings as people read them: a learning rate that a search has drawn has 17 digits."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from pipeline.measures.paper_match import Deviation

DIGITS = 4
"""Significant digits that are shown, unless two numbers would look the same."""
_ALL_DIGITS = 17
"""Of a double."""
_NUMBER = re.compile(r"-?\d+(?P<fraction>\.\d+)?(?P<exponent>e[+-]?\d+)?")


def short_numbers(texts: Iterable[str]) -> dict[str, str]:
    """Each text as it is shown next to the others: a rounded number has as many digits as tell it from each of them.

    Whole numbers, and what is no number, stay as they are.
    """
    found = {text: _NUMBER.fullmatch(text) for text in texts}
    numbers = {float(text) for text, match in found.items() if match}
    return {
        text: _rounded(text, numbers) if match and (match["fraction"] or match["exponent"]) else text
        for text, match in found.items()
    }


def short_deviations(
    different: Iterable[tuple[Deviation, ...]],
) -> Mapping[tuple[Deviation, ...], str]:
    """Sets of deviations that are read together → how each is told."""
    different = list(different)
    values: dict[str, list[str]] = defaultdict(list)
    for deviation in (each for deviations in different for each in deviations):
        values[deviation.name] += [deviation.paper, deviation.here]
    shown = {name: short_numbers(texts) for name, texts in values.items()}
    return {
        deviations: "; ".join(
            str(Deviation(one.name, shown[one.name][one.paper], shown[one.name][one.here]))
            for one in deviations
        )
        for deviations in different
    }


def _rounded(text: str, numbers: Iterable[float]) -> str:
    number = float(text)
    others = [other for other in numbers if other != number]
    for digits in range(DIGITS, _ALL_DIGITS):
        shown = f"{number:.{digits}g}"
        if all(f"{other:.{digits}g}" != shown for other in others):
            return text if float(shown) == number else shown
    return text
