"""Which part of a radiograph a finding may change: one box per label, from the same factors as the drawing."""

from __future__ import annotations

import math

from data_prep.drawing.drawing import Box
from data_prep.drawing.radiographs.findings import LABELS
from data_prep.drawing.radiographs.frame import Frame


def regions(frame: Frame) -> dict[str, Box]:
    """The box of each of the five labels, for the view of this frame.

    Severity and side are the study's where the finding is present; where it is absent, the box covers both lungs.
    """
    parts = _lateral(frame) if frame.exposure.lateral else _frontal(frame)
    return {name: _box(frame, parts[name]) for name in LABELS}


def _frontal(frame: Frame) -> dict[str, tuple[float, float, float, float]]:
    half, chest = frame.half + 12.0, frame.chest
    low = max(frame.dome(-1), frame.dome(1)) + 60.0
    sides = {0.0: (-half, half), -1.0: (-half, 4.0), 1.0: (-4.0, half)}
    left, right = sides[0.0]
    zone = int(chest.consolidation_zone)
    consolidation = sides[chest.consolidation_side] if chest.consolidation else (left, right)
    atelectasis = sides[chest.atelectasis_side] if chest.atelectasis else (left, right)
    effusion = sides[chest.effusion_side] if chest.effusion else (left, right)
    top, bottom = (
        ((24.0, 130.0), (86.0, 200.0), (138.0, 258.0))[zone] if chest.consolidation else (24.0, 258.0)
    )
    return {
        "Cardiomegaly": (-0.5 * half - 8, 92.0, half, low),
        "Edema": (left, 30.0, right, low),
        "Consolidation": (consolidation[0], top, consolidation[1], bottom),
        # The diaphragm rises with the lost lung, the heart's lower border and the stomach's bubble with it.
        "Atelectasis": (
            min(atelectasis[0] - 66, -0.7 * half),
            104.0,
            max(atelectasis[1] + 66, 0.9 * half),
            low + 30,
        ),
        "Pleural Effusion": (effusion[0], 80.0, effusion[1], low + 10),
    }


def _lateral(frame: Frame) -> dict[str, tuple[float, float, float, float]]:
    return {
        "Cardiomegaly": (-112.0, 110.0, 60.0, 300.0),
        "Edema": (-118.0, 30.0, 124.0, 350.0),
        "Consolidation": (-118.0, 54.0, 118.0, 286.0),
        "Atelectasis": (-130.0, 105.0, 130.0, 450.0),
        "Pleural Effusion": (-80.0, 150.0, 128.0, 360.0),
    }


def _box(frame: Frame, part: tuple[float, float, float, float]) -> Box:
    left, upper, right, lower = part
    corners = frame.place([(left, upper), (right, upper), (right, lower), (left, lower)])
    x0, y0 = corners.min(axis=0)
    x1, y1 = corners.max(axis=0)
    return (
        max(math.floor(x0), 0),
        max(math.floor(y0), 0),
        min(math.ceil(x1), frame.width),
        min(math.ceil(y1), frame.height),
    )
