"""Drawings by name."""

from __future__ import annotations

from data_prep.drawing.drawing import Drawing
from data_prep.drawing.faces.raw_layout import Faces
from data_prep.drawing.radiographs.raw_layout import Radiographs
from data_prep.errors import ConfigError

KINDS: dict[str, Drawing] = {drawing.name: drawing for drawing in (Faces(), Radiographs())}


def drawing_named(name: str) -> Drawing:
    """``ConfigError`` listing those there are if none has this name."""
    if name not in KINDS:
        raise ConfigError(f"there is no drawing named {name!r}: there are {', '.join(KINDS)}")
    return KINDS[name]
