"""A chest from the side, simpler than from the front: the patient looks to the left."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.curves import Points, ellipse, smooth, stroke
from data_prep.drawing.radiographs.frame import Frame


def draw_lateral(canvas: Canvas, frame: Frame, mottle: Light) -> None:
    """Body, lungs one behind the other, spine, breastbone, heart, ribs, and the findings on them."""
    patient, chest = frame.patient, frame.chest
    fat, dome = 18 * patient.fat, 270.0 + 12 * chest.inspiration - 14.0 * chest.atelectasis
    body = [
        (-40, -40),
        (-62, 60),
        (-112 - fat, 110),
        (-126 - fat - 12 * patient.breasts, 200),
        (-118 - fat, 300),
        (-112 - fat, 430),
        (124 + fat, 430),
        (128 + fat, 260),
        (120 + fat, 120),
        (84, 40),
        (60, -40),
    ]
    outline = canvas.covered(frame.curve(body, closed=True), soften=2.5)
    canvas.add(outline, 0.62 + 0.08 * patient.fat)
    lung = canvas.covered(frame.curve(_lung(dome), closed=True), soften=2.0)
    canvas.add(lung, -0.36)
    air = np.zeros((frame.height, frame.width), np.float32)
    air[lung.rows, lung.columns] = lung.alpha
    column = smooth([(62, -20), (84, 80), (94, 170), (88, 270), (70, 420)])
    spine = canvas.covered(frame.place(stroke(column, 34)), soften=1.5)
    _, y = frame.coordinates(spine)
    canvas.add(spine, 0.10 + 0.09 * (np.sin(y * np.float32(2 * np.pi / 27)) > -0.75))
    breastbone = smooth([(-66, 62), (-92, 110), (-108, 190), (-110, 240)])
    canvas.add(canvas.covered(frame.place(stroke(breastbone, [9, 8, 7])), soften=1.2), 0.16)
    windpipe = smooth([(2, -10), (10, 70), (20, 130)])
    canvas.add(canvas.covered(frame.place(stroke(windpipe, 13)), soften=1.5), -0.12)
    ribs = []
    for number in range(9):
        y0 = 60.0 + 25 * number
        ribs.append(
            frame.place(stroke(smooth([(92, y0), (55, y0 + 16), (0, y0 + 46), (-70, y0 + 66)]), [9, 8, 6]))
        )
    cage = canvas.covered(*ribs, soften=0.8)
    canvas.add(cage.times(0.35 + 0.65 * cage.of(air)), 0.055 * patient.rib_density)
    canvas.add(canvas.covered(frame.place(ellipse(12, 150, 20, 26)), soften=6.0), 0.10)
    canvas.add(canvas.covered(frame.curve(_heart(frame, dome), closed=True), soften=3.0), 0.26)
    belly = np.concatenate([_domes(dome), [(118.0, 430.0), (-114.0, 430.0)]])
    canvas.add(canvas.covered(frame.place(belly), soften=1.5), 0.22)
    _findings(canvas, frame, air, mottle, dome)


def _findings(canvas: Canvas, frame: Frame, air: Light, mottle: Light, dome: float) -> None:
    chest = frame.chest
    if chest.edema:
        ((x, y),) = frame.place([(14, 168)])
        haze = canvas.spot(x, y, 52, 70)
        canvas.add(haze.times(haze.of(air) * np.clip(1 + 0.3 * haze.of(mottle), 0.3, 2)), 0.24 * chest.edema)
    if chest.consolidation:
        x, y = ((-40, 108), (-60, 176), (52, 226))[int(chest.consolidation_zone)]
        cloud = canvas.covered(
            frame.place(ellipse(x, y, 40 * chest.consolidation_size, 30 * chest.consolidation_size)), soften=6
        )
        canvas.add(
            cloud.times(cloud.of(air) * np.clip(1 + 0.3 * cloud.of(mottle), 0.4, 1.5)),
            0.2 + 0.1 * chest.consolidation,
        )
    if chest.atelectasis:
        plate = canvas.covered(
            frame.place(stroke(smooth([(-40, dome - 30), (20, dome - 36), (76, dome - 12)]), [2, 6, 6, 2])),
            soften=1,
        )
        canvas.add(plate.times(plate.of(air)), 0.16 + 0.12 * chest.atelectasis)
    if chest.lesion:
        nodule = canvas.covered(
            frame.place(
                ellipse(0.5 * chest.lesion_x, chest.lesion_y + 20, 6 + 8 * chest.lesion, 6 + 8 * chest.lesion)
            ),
            soften=1.6,
        )
        canvas.add(nodule.times(nodule.of(air)), 0.18)
    if chest.effusion:
        low = dome + 10 - 36 * chest.effusion
        top = smooth([(-60, low + 30), (0, low + 14), (60, low), (96, low - 22), (122, low - 64)])
        fluid = canvas.covered(frame.place(np.concatenate([top, [(126.0, 350.0), (-60.0, 350.0)]])), soften=3)
        canvas.add(fluid.times(fluid.of(air)), 0.32)


def _lung(dome: float) -> Points:
    points = [
        (-8, 66),
        (30, 44),
        (70, 62),
        (104, 130),
        (114, 210),
        (112, 290),
        (104, dome + 44),
        (80, dome + 22),
        (30, dome - 4),
        (-30, dome - 4),
        (-80, dome + 8),
        (-100, dome + 12),
        (-104, 220),
        (-94, 150),
        (-70, 96),
    ]
    return np.array(points, dtype=np.float64)


def _domes(dome: float) -> Points:
    return smooth(
        [
            (-114, dome + 16),
            (-80, dome + 6),
            (-30, dome - 4),
            (30, dome - 4),
            (80, dome + 22),
            (106, dome + 48),
            (118, dome + 60),
        ]
    )


def _heart(frame: Frame, dome: float) -> Points:
    size = frame.chest.heart_ratio / 0.45
    return np.array(
        [
            (-96, dome - 2),
            (-92, dome - 46 * size),
            (-66, dome - 96 * size**0.5),
            (-20, dome - 128),
            (2 + 20 * (size - 1), dome - 106),
            (14 * size, dome - 60),
            (2 + 30 * (size - 1), dome - 10),
            (-40, dome + 6),
        ]
    )
