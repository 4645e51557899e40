"""What the findings change in a frontal picture: densities added inside the lungs."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.curves import ellipse, smooth, stroke
from data_prep.drawing.radiographs.anatomy import Lungs
from data_prep.drawing.radiographs.frame import Frame

_SIDES = (-1, 1)
_ZONES = ((74.0, 82.0, 38.0, 30.0), (74.0, 142.0, 40.0, 26.0), (80.0, 198.0, 42.0, 30.0))
"""x, y, half width and half height of an upper, middle and lower consolidation"""


def draw_findings(canvas: Canvas, frame: Frame, lungs: Lungs, mottle: Light) -> None:
    """``mottle``: (H, W), smooth noise around 0. The heart's size and the diaphragm's height are the anatomy's part."""
    chest = frame.chest
    if chest.edema:
        _edema(canvas, frame, lungs, mottle)
    if chest.consolidation:
        _consolidation(canvas, frame, lungs, mottle)
    if chest.atelectasis:
        _atelectasis(canvas, frame, lungs)
    if chest.lesion:
        spot = canvas.covered(
            frame.place(ellipse(chest.lesion_x, chest.lesion_y, 6 + 9 * chest.lesion, 6 + 8 * chest.lesion)),
            soften=1.6,
        )
        canvas.add(spot.times(spot.of(lungs.both)), 0.20)
    if chest.effusion:
        for side in _SIDES if chest.effusion_side == 0 else (int(chest.effusion_side),):
            _effusion(canvas, frame, lungs, side)


def _edema(canvas: Canvas, frame: Frame, lungs: Lungs, mottle: Light) -> None:
    """Haze around the hila like a bat's wings, mottled, and short lines at the lower edges."""
    strength = frame.chest.edema
    for side in _SIDES:
        for x, y, rx, ry, amount in ((52, 135, 34, 46, 0.26), (80, 160, 40, 56, 0.13)):
            ((px, py),) = frame.place([(side * x, y)])
            haze = canvas.spot(px, py, rx, ry)
            patchy = np.clip(1 + 0.35 * haze.of(mottle), 0.3, 2)
            canvas.add(haze.times(haze.of(lungs.of(side)) * patchy), amount * strength)
    lines = []
    for side in _SIDES:
        for number in range(6):
            height, wall = 178.0 + 8 * number, side * (frame.half - 4)
            lines.append(
                frame.place(
                    stroke(np.array([(wall, height), (wall - side * 17.0, height - 1.5)]), [1.6, 0.8])
                )
            )
    patch = canvas.covered(*lines, soften=0.5)
    canvas.add(patch.times(patch.of(lungs.both)), 0.14 * strength)


def _consolidation(canvas: Canvas, frame: Frame, lungs: Lungs, mottle: Light) -> None:
    """Part of a lobe is white, sharp towards the fissure below or above it, with air-filled bronchi left dark."""
    chest = frame.chest
    side, zone, size = chest.consolidation_side, int(chest.consolidation_zone), chest.consolidation_size
    x, y, rx, ry = _ZONES[zone]
    patch = canvas.covered(
        frame.place(ellipse(side * x, y, 1.15 * rx * size, 1.15 * ry * size, 40)), soften=8.0
    )
    px, py = frame.coordinates(patch)
    fissure = y + (0.55 if zone == 0 else -0.55) * ry * size + 0.12 * side * (px - side * x)
    beyond = (py - fissure) if zone == 0 else (fissure - py)
    sharp = 1 / (1 + np.exp(np.clip(beyond, -30, 30) / 1.5))
    cloudy = np.clip(0.95 + 0.3 * patch.of(mottle), 0.5, 1.4)
    canvas.add(patch.times(patch.of(lungs.of(side)) * sharp * cloudy), 0.22 + 0.12 * chest.consolidation)
    bronchi = []
    for angle in (-0.55, 0.0, 0.5):
        end = (side * (x + 0.62 * rx * np.cos(angle)), y + 0.62 * ry * np.sin(angle) + 3)
        bronchi.append(
            frame.place(
                stroke(
                    smooth([(side * (x - 0.7 * rx), y - 2), (side * x, y + 4 * angle), end]), [3.2, 2.2, 1.0]
                )
            )
        )
    air = canvas.covered(*bronchi, soften=0.7)
    canvas.add(air.times(air.of(lungs.of(side))), -0.08 * chest.consolidation)


def _atelectasis(canvas: Canvas, frame: Frame, lungs: Lungs) -> None:
    """Plates of airless lung above the risen diaphragm."""
    chest = frame.chest
    side, dome, plates = chest.atelectasis_side, frame.dome(int(chest.atelectasis_side)), []
    for number in range(int(chest.atelectasis_bands)):
        y = dome - 13.0 - 15.0 * number
        path = smooth(
            [
                (side * 42.0, y + 5 - 3 * number),
                (side * 74.0, y - 2),
                (side * (frame.half - 16.0 - 12 * number), y + 3),
            ]
        )
        plates.append(frame.place(stroke(path, [3.0, 6.5, 5.5, 2.0])))
    band = canvas.covered(*plates, soften=1.0)
    canvas.add(band.times(band.of(lungs.of(side))), 0.20 + 0.14 * chest.atelectasis)


def _effusion(canvas: Canvas, frame: Frame, lungs: Lungs, side: int) -> None:
    """Fluid over the diaphragm whose upper edge is hollow and climbs along the chest wall."""
    level, half = frame.chest.effusion, frame.half
    low = frame.dome(side) + 22.0 - 46.0 * level
    top = smooth(
        [
            (side * 14.0, low + 2),
            (side * 55.0, low + 7),
            (side * 90.0, low + 1),
            (side * 114.0, low - 16),
            (side * (half - 5), low - 44 - 18 * level),
            (side * (half + 6), low - 66 - 20 * level),
        ]
    )
    fluid = canvas.covered(
        frame.place(np.concatenate([top, [(side * (half + 8), 300.0), (side * 14.0, 300.0)]])), soften=3.2
    )
    canvas.add(fluid.times(fluid.of(lungs.of(side))), 0.44)
