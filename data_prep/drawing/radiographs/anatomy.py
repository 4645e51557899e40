"""A healthy chest from the front, as densities that add up: body, lungs, heart, what lies below the diaphragm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import Number, Points, ellipse, mirrored, smooth, stroke
from data_prep.drawing.radiographs.frame import Frame

_SIDES = (-1, 1)


@dataclass(frozen=True, slots=True)
class Lungs:
    """The two lung fields, (H, W), 0 to 1: the area that findings darken or whiten."""

    right: Light
    left: Light

    def of(self, side: Number) -> Light:
        return self.right if side < 0 else self.left

    @property
    def both(self) -> Light:
        return np.maximum(self.right, self.left)


def draw_body(canvas: Canvas, frame: Frame) -> Light:
    """Soft tissue from the neck to the belly, thicker to the middle, with breasts and shoulders; returns where it is."""
    patient, half = frame.patient, frame.half
    wide = half + 22 + 34 * patient.fat
    outline = mirrored(
        [
            (36.0, -30.0),
            (40.0, 8.0),
            (62.0, 26.0),
            (120.0, 44.0),
            (wide + 8, 78.0),
            (wide + 16, 130.0),
            (wide, 180.0),
            (wide - 4, 250.0),
            (wide + 4, 350.0),
        ]
    )
    body = canvas.covered(frame.curve(outline), soften=2.5)
    x, y = frame.coordinates(body)
    thick = 0.60 + 0.10 * patient.fat - 0.20 * np.clip(np.abs(x) / wide, 0, 1) ** 3
    canvas.add(body, thick + np.float32(0.0006) * (y - 160))
    inside = whole(frame, body)
    for side in _SIDES:
        if patient.breasts:
            size = 0.7 + 0.5 * patient.breasts
            breast = canvas.covered(frame.place(ellipse(side * 72, 205, 56 * size, 44 * size, 40)), soften=6)
            canvas.add(breast, 0.085 * patient.breasts)
        bone = frame.curve([(side * (half + 18), 58), (side * (half + 40), 84), (side * (half + 52), 150)])
        arm = canvas.covered(stroke(bone, [34, 22, 20]), soften=2.0)
        canvas.add(arm.times(arm.of(inside)), 0.13)
        blade = frame.curve(
            [
                (side * (half - 32), 62),
                (side * (half + 14), 66),
                (side * (half + 8), 118),
                (side * (half - 14), 150),
                (side * (half - 26), 110),
            ],
            closed=True,
        )
        canvas.add(canvas.covered(blade, soften=2.2), 0.055)
    return inside


def draw_lungs(canvas: Canvas, frame: Frame) -> Lungs:
    """Air: both lungs are dark, darker outwards and upwards; the windpipe is a dark column above them."""
    masks = []
    for side in _SIDES:
        patch = canvas.covered(frame.curve(_lung(frame, side), closed=True), soften=1.4)
        x, y = frame.coordinates(patch)
        air = 0.43 - 0.05 * np.clip((y - 60) / 170, 0, 1) - 0.07 * np.clip(1 - np.abs(x) / 70, 0, 1)
        canvas.add(patch, -air.astype(np.float32))
        masks.append(whole(frame, patch))
    turn = frame.exposure.turn
    windpipe = frame.curve([(0.3 * turn, -10), (0.6 * turn, 50), (0.8 * turn + 2, 98)])
    split = [
        frame.curve([(0.8 * turn + 2, 96), (side * 14.0 + turn, 114), (side * 30.0, 128)]) for side in _SIDES
    ]
    tubes = [stroke(windpipe, 13.0), *(stroke(branch, [9, 6, 4]) for branch in split)]
    canvas.add(canvas.covered(*tubes, soften=2.0), -0.12)
    return Lungs(*masks)


def _lung(frame: Frame, side: int) -> Points:
    wide, dome = frame.half / 134, frame.dome(side)
    angle = max(dome + 24.0, 226.0)  # the angle between ribs and diaphragm stays down when the dome rises
    points = [
        (27, 100), (30, 62), (46, 43), (66, 37), (90, 50), (112, 90), (126, 140), (133, 190), (133.5, angle - 20),
        (129, angle), (110, dome + 9), (80, dome), (52, dome + 3), (30, dome + 9), (26, 190), (24, 140),
    ]  # fmt: skip
    return np.array([(side * x * wide, y) for x, y in points])


def draw_middle(canvas: Canvas, frame: Frame) -> None:
    """Spine, great vessels, heart and what lies below the diaphragm."""
    chest, patient, turn = frame.chest, frame.patient, frame.exposure.turn
    column = frame.place([(-17 + turn, -20), (17 + turn, -20), (21 + turn, 350), (-21 + turn, 350)])
    spine = canvas.covered(column, soften=1.6)
    x, y = frame.coordinates(spine)
    discs = 0.5 + 0.5 * np.sin(y * np.float32(2 * np.pi / 21.0))
    middle = np.exp(-0.5 * ((x - turn) / 4.0) ** 2)
    canvas.add(spine, 0.09 + 0.035 * discs + 0.03 * middle)
    vessels = frame.curve(
        [
            (-25, -10),
            (-27, 60),
            (-30, 110),
            (-27, 170),
            (-25, 250),
            (25, 250),
            (27, 170),
            (30, 130),
            (29, 110),
            (24, 60),
            (24, -10),
        ],
        closed=True,
    )
    soft = whole(frame, canvas.covered(vessels, soften=3.0)) * np.float32(0.23)
    knob = frame.place(ellipse(21 + 4 * patient.aorta, 94, 10 + 7 * patient.aorta, 15 + 4 * patient.aorta))
    arch = canvas.covered(knob, soften=1.6)
    np.maximum(arch.of(soft), 0.22 * arch.alpha, out=arch.of(soft))
    heart = canvas.covered(frame.curve(heart_outline(frame), closed=True), soften=2.0)
    x, y = frame.coordinates(heart)
    width = 2 * frame.half * chest.heart_ratio
    blood = 0.30 - 0.08 * np.clip((np.abs(x - 0.15 * width) / (0.62 * width)), 0, 1) ** 2
    np.maximum(heart.of(soft), heart.alpha * blood, out=heart.of(soft))
    for side in _SIDES:
        below = frame.dome(side)
        bell = smooth(
            [
                (side * 12.0, below + 12),
                (side * 52.0, below + 3),
                (side * 82.0, below),
                (side * 112.0, below + 10),
                (side * (frame.half + 4), below + 36),
                (side * (frame.half + 60), below + 60),
            ]
        )
        belly = np.concatenate([bell, [(side * (frame.half + 60), 350.0), (side * 12.0, 350.0)]])
        below_dome = canvas.covered(frame.place(belly), soften=1.5)
        x, _ = frame.coordinates(below_dome)
        liver = below_dome.alpha * 0.22 * np.clip((frame.half + 26 - np.abs(x)) / 44, 0, 1)
        np.maximum(below_dome.of(soft), liver, out=below_dome.of(soft))
    canvas.pixels += soft  # where these overlap the densest counts, or they would be transparent
    stomach = frame.place(ellipse(70, frame.dome(1) + 25, 24, 13))
    canvas.add(canvas.covered(stomach, soften=2.5), -0.20)


def heart_outline(frame: Frame) -> Points:
    """The heart's border, in the chest's own coordinates."""
    width = 2 * frame.half * frame.chest.heart_ratio
    tilt, base = frame.patient.heart_tilt, 0.5 * (frame.dome(-1) + frame.dome(1)) + 8
    left, right = (0.68 + 0.03 * tilt) * width, (0.32 - 0.03 * tilt) * width
    return np.array(
        [
            (-16, 112), (8, 104), (28, 116), (0.5 * left, 142), (0.86 * left, 172), (left, base - 30),
            (0.93 * left, base - 10), (0.6 * left, base + 3), (0.0, base + 6), (-0.7 * right, base),
            (-right, base - 26), (-0.96 * right, 172), (-0.75 * right, 145),
        ]
    )  # fmt: skip


def whole(frame: Frame, patch: Patch) -> Light:
    """A patch as an array (H, W) of the whole picture."""
    array = np.zeros((frame.height, frame.width), np.float32)
    array[patch.rows, patch.columns] = patch.alpha
    return array
