"""Whether two systems differ over their seeds."""

from __future__ import annotations

from collections.abc import Sequence

FEWEST = 4
"""Runs of each system: of three each, the smallest possible two-sided p is 0.1."""


def mann_whitney(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Two-sided p of the Mann–Whitney U test, exact without ties; None with too few runs of either."""
    if min(len(first), len(second)) < FEWEST:
        return None
    from scipy.stats import mannwhitneyu

    return float(mannwhitneyu(first, second, alternative="two-sided").pvalue)
