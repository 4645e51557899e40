"""Learning curves as numbers of a page: few enough points that a thousand runs fit into it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_POINTS = 300
"""Of a curve."""
FEWEST_POINTS = 20
MOST_NUMBERS = 500_000
"""Of all curves of a page together, about seven bytes each."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Curve:
    """What training recorded of one run."""

    cell: str
    group: int
    """Runs that differ in their seeds only are of one group."""
    epochs: Sequence[float]
    terms: Mapping[str, Sequence[float]]
    """By name, a value for each of the epochs; NaN where there is none."""


def thinned(groups: Sequence[str], curves: Sequence[Curve]) -> dict[str, Any]:
    """As JSON's types: at most so many points of each curve, evenly spread, the last among them."""
    terms = sorted(
        {term for curve in curves for term in curve.terms}, key=lambda term: (term != "objective", term)
    )
    series = sum(len(curve.terms) + 1 for curve in curves)
    most = max(FEWEST_POINTS, min(MOST_POINTS, MOST_NUMBERS // max(series, 1)))
    cells = []
    for curve in curves:
        at = spread_to_the_end(len(curve.epochs), most)
        values = [
            [_short(curve.terms[term][i]) for i in at] if term in curve.terms else None for term in terms
        ]
        epochs = [_short(curve.epochs[i]) for i in at]
        cells.append({"name": curve.cell, "group": curve.group, "epochs": epochs, "values": values})
    return {"groups": groups, "terms": terms, "cells": cells}


def spread_to_the_end(count: int, most: int) -> list[int]:
    """At most so many of the numbers below ``count``, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return sorted({round(i * (count - 1) / (most - 1)) for i in range(most)})


def _short(value: float) -> float | None:
    """Five digits; None where it is no number, which interrupts the line."""
    return float(f"{value:.5g}") if math.isfinite(value) else None
