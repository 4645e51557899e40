"""A finding of the preflight checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was checked."""

    level: Literal["ok", "warning", "problem"]
    """``problem``: jobs would fail, or never start."""
    sentence: str
    """What was found and, unless all is well, what to do."""
