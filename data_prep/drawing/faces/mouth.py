"""Nose and mouth."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import Points, ellipse, smooth, stroke
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import Pose

_NOSE, _MOUTH, _CHIN = 6.0, 4.5, 3.5


def draw_nose(canvas: Canvas, pose: Pose) -> None:
    """What the relief does not give: nostrils, the edges of the wings, the shadow below."""
    face, y = pose.face, pose.nose_y
    canvas.shade(
        pose.spot(canvas, -2.5 * face.light_x, y + 2.5, 0.85 * face.nose_width, 2.6, _NOSE - 1).times(0.42),
        (0.62, 0.52, 0.48),
    )
    nostrils, wings = [], []
    for side in (-1, 1):
        out = side * face.nose_width
        nostrils.append(pose.place(ellipse(0.42 * out, y - 0.8, 2.0, 1.15, 14), _NOSE))
        wing = pose.curve([(0.78 * out, y - 7.5), (1.1 * out, y - 3.0), (0.72 * out, y + 0.2)], _NOSE - 1)
        wings.append(stroke(wing, [0.5, 1.7, 0.8]))
    canvas.shade(canvas.covered(*nostrils, soften=0.5).times(0.85), (0.3, 0.2, 0.18))
    canvas.shade(canvas.covered(*wings, soften=0.6).times(0.6), (0.62, 0.5, 0.46))


def draw_mouth(canvas: Canvas, pose: Pose) -> None:
    """Lips around a line or an opening with teeth; a smile widens it, lifts its corners and folds the cheeks."""
    face, middle = pose.face, pose.mouth_y
    smile, tone = face.smile, colours.lips(face)
    half = face.mouth_width * (1 + 0.38 * max(smile, 0.0))
    corner = middle - 5.5 * smile
    gap = 9.5 * face.mouth_opening + 2.6 * max(smile, 0.0)
    sag = 2.2 * max(smile, 0.0)
    full = face.lip_fullness * (1 - 0.22 * max(smile, 0.0))
    upper = smooth(
        [
            (-half, corner),
            (-0.5 * half, middle - 0.6 + 0.6 * sag - 0.35 * gap),
            (0.0, middle + sag - 0.3 * gap),
            (0.5 * half, middle - 0.6 + 0.6 * sag - 0.35 * gap),
            (half, corner),
        ]
    )
    lower = smooth(
        [
            (-half, corner),
            (-0.5 * half, middle + 0.4 + 1.3 * sag + 0.55 * gap),
            (0.0, middle + 0.6 + 1.9 * sag + 0.75 * gap),
            (0.5 * half, middle + 0.4 + 1.3 * sag + 0.55 * gap),
            (half, corner),
        ]
    )
    top = smooth(
        [
            (-half, corner),
            (-0.45 * half, middle - 3.9 * full + 0.5 * sag - 0.35 * gap),
            (-0.16 * half, middle - 5.0 * full + sag - 0.3 * gap),
            (0.0, middle - 3.9 * full + sag - 0.3 * gap),
            (0.16 * half, middle - 5.0 * full + sag - 0.3 * gap),
            (0.45 * half, middle - 3.9 * full + 0.5 * sag - 0.35 * gap),
            (half, corner),
        ]
    )
    bottom = smooth(
        [
            (-half, corner),
            (-0.55 * half, middle + 4.0 * full + 1.3 * sag + 0.6 * gap),
            (0.0, middle + 6.6 * full + 1.9 * sag + 0.75 * gap),
            (0.55 * half, middle + 4.0 * full + 1.3 * sag + 0.6 * gap),
            (half, corner),
        ]
    )
    if smile > 0.2:
        folds = [pose.place(stroke(fold(pose, side, smile), [0.5, 2.4, 2.2, 0.5]), 4.0) for side in (-1, 1)]
        canvas.shade(canvas.covered(*folds, soften=0.9).times(0.75 * smile), (0.62, 0.5, 0.46))
        for side in (-1, 1):
            canvas.shade(
                pose.spot(canvas, side * (half + 2.5), corner, 2.2, 2.4, _MOUTH).times(0.55),
                (0.6, 0.46, 0.44),
            )
    _fill(canvas, pose, np.concatenate([top, lower[::-1]]), tone * np.float32(0.80))
    _fill(canvas, pose, np.concatenate([upper, bottom[::-1]]), tone)
    shine = pose.spot(
        canvas, 2 * face.light_x, middle + 4.0 * full + 1.6 * sag + 0.7 * gap, 0.3 * half, 1.3, _MOUTH
    )
    canvas.shade(shine.times(0.5 + 0.4 * face.lipstick), 1.35)
    if gap > 0.4 or smile > 0.2:
        opening = np.concatenate([upper, lower[::-1]])
        inside = _fill(canvas, pose, opening, colours.colour(58, 18, 20))
        _teeth(canvas, pose, inside, middle + sag, half, gap)
    canvas.shade(
        canvas.covered(pose.place(stroke(upper, [0.6, 1.3, 1.1, 1.3, 0.6]), _MOUTH)).times(0.75),
        (0.42, 0.3, 0.3),
    )
    canvas.shade(
        pose.spot(canvas, 0, middle + 9.5 * full + 1.9 * sag + 0.75 * gap, 0.45 * half, 1.7, _CHIN).times(
            0.35
        ),
        (0.66, 0.56, 0.52),
    )


def _fill(canvas: Canvas, pose: Pose, outline: Points, tone: Light) -> Patch:
    patch = canvas.covered(pose.place(outline, _MOUTH), soften=0.35)
    canvas.paint(patch, tone)
    return patch


def _teeth(canvas: Canvas, pose: Pose, inside: Patch, y: float, half: float, gap: float) -> None:
    """The upper row of teeth, with the darkness of the corners and the gaps between teeth."""
    x, rows = pose.coordinates(inside)
    x = x - np.float32(pose.face.yaw * _MOUTH)
    row = (
        np.clip(np.float32(y + 1.6 + 0.45 * gap) - rows, 0, 1)
        * np.clip(1.12 - np.abs(x / np.float32(half)), 0, 0.3)
        / 0.3
    )
    seams = 1 - 0.16 * np.clip(1 - np.abs((x + 100) % np.float32(4.1) - 2.05) * 1.6, 0, 1)
    canvas.paint(inside.times(row * seams), colours.colour(240, 234, 224))


def fold(pose: Pose, side: int, smile: float = 0.0) -> Points:
    """The fold from the wing of the nose to the corner of the mouth."""
    y, out = pose.nose_y, 3.0 * max(smile, 0.0)
    return smooth(
        [
            (side * (pose.face.nose_width + 2.2), y - 4.5),
            (side * (17.0 + out), y + 3.5),
            (side * (21.5 + 1.6 * out), pose.mouth_y - 2 + out),
        ]
    )
