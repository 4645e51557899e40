"""Stubble, mustaches, goatees and full beards."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import smooth
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.labels import BEARDS
from data_prep.drawing.faces.pose import Pose

_MOUTH, _CHIN = 4.5, 3.5


def draw_beard(canvas: Canvas, pose: Pose, grain: Light) -> None:
    """Stubble, mustache, goatee or a full beard in short hairs. ``grain``: (H, W), around 0."""
    face = pose.face
    name = BEARDS[int(face.beard)]
    if name == "none":
        return
    y, chin, tone = pose.mouth_y, pose.chin_y, colours.brows(face)
    jaw = face.face_width * face.jaw + 6 * face.fullness
    strength = face.beard_strength
    if name in ("stubble", "full"):
        edge = 0.0 if name == "stubble" else 2.5
        side = [
            (face.face_width - 2, 118.0),
            (face.face_width - 1 + 2 * face.fullness + 0.5 * edge, 134.0),
            (jaw + edge, y + 3),
            (face.chin + 0.55 * (jaw - face.chin) + 3 + edge, chin - 10),
            (face.chin + 2 + 4 * face.fullness, chin - 1 + edge),
        ]
        cheek = [(face.face_width - 8, 126.0), (0.74 * face.face_width, 140.0), (21.0, pose.nose_y + 1.0)]
        outer = [(-x, v) for x, v in side] + [(0.0, chin + 2.0 * edge)] + side[::-1]
        inner = (
            cheek
            + [(9.0, pose.nose_y + 2.5), (0.0, pose.nose_y + 3.5), (-9.0, pose.nose_y + 2.5)]
            + [(-x, v) for x, v in cheek[::-1]]
        )
        shape = canvas.covered(
            pose.place(np.concatenate([smooth(outer), smooth(inner)]), 1.5), soften=2.2 if edge else 3.2
        )
        _bristle(canvas, shape, grain, tone, 0.36 * strength if name == "stubble" else 0.72 + 0.2 * strength)
    if name in ("mustache", "goatee and mustache", "full"):
        half = face.mouth_width * (1.12 + 0.3 * max(face.smile, 0.0))
        lift = 3.0 * max(face.smile, 0.0)
        shape = canvas.covered(
            pose.curve(
                [
                    (0, y - 9.5),
                    (0.55 * half, y - 8.0),
                    (half + 1, y - 2 - lift),
                    (half + 0.5, y + 1.5 - lift),
                    (0.55 * half, y - 3.0),
                    (0, y - 3.6),
                    (-0.55 * half, y - 3.0),
                    (-half - 0.5, y + 1.5 - lift),
                    (-half - 1, y - 2 - lift),
                    (-0.55 * half, y - 8.0),
                ],
                _MOUTH,
                closed=True,
            ),
            soften=0.8,
        )
        _bristle(canvas, shape, grain, tone, 0.7 + 0.25 * strength)
    if name in ("goatee", "goatee and mustache", "full"):
        half = face.chin + 2.5
        shape = canvas.covered(
            pose.curve(
                [
                    (-0.75 * half, y + 11),
                    (0, y + 9.5),
                    (0.75 * half, y + 11),
                    (half, y + 17),
                    (0.8 * half, chin),
                    (0, chin + 4.0),
                    (-0.8 * half, chin),
                    (-half, y + 17),
                ],
                _CHIN,
                closed=True,
            ),
            soften=1.2,
        )
        _bristle(canvas, shape, grain, tone, 0.66 + 0.25 * strength)


def _bristle(canvas: Canvas, shape: Patch, grain: Light, tone: Light, strength: float) -> None:
    thick = np.clip(strength * (1 + 0.22 * shape.of(grain)), 0, 0.97)
    canvas.paint(shape.times(thick), tone)
