"""The expression of a drawn face: which of its factors make it, and where they are neutral."""

from __future__ import annotations

from collections.abc import Mapping

NEUTRAL = {
    "smile": (-0.2, 0.2),
    "mouth_opening": (0.0, 0.05),
    "brow_slope": (-0.2, 0.8),
    "eye_opening": (0.34, 0.43),
}
"""Factor of the expression → lowest and highest value of a neutral one: the middle of what is drawn without a smile."""


def is_neutral(factors: Mapping[str, float]) -> bool:
    """Whether mouth, brows and eyes of a face with these factors are neutral."""
    return all(low <= factors[name] <= high for name, (low, high) in NEUTRAL.items())
