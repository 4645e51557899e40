"""The lines and hollows of age."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas
from data_prep.drawing.curves import smooth, stroke
from data_prep.drawing.faces.mouth import fold
from data_prep.drawing.faces.pose import EYE_X, EYES_Y, Pose


def draw_age(canvas: Canvas, pose: Pose) -> None:
    """Lines of the forehead, at the eyes, between the brows, and from nose to mouth; hollow temples."""
    face = pose.face
    age, turn = face.wrinkles, 2.0
    if age < 0.05:
        return
    lines = []
    for index, y in enumerate((76.0, 82.5, 89.0)):
        half = 23 - 2.5 * index
        path = smooth(
            [
                (-half, y + 1.5),
                (-0.4 * half, y - 0.8),
                (0.05 * half, y + 0.9),
                (0.5 * half, y - 0.7),
                (half, y + 1.8),
            ]
        )
        lines.append(pose.place(stroke(path, [0.4, 2.1, 2.1, 0.4]), turn))
    for side in (-1, 1):
        for drop in (-3.5, 0.5, 4.5):
            path = smooth(
                [(side * (EYE_X + 12.5), EYES_Y + 0.5 * drop), (side * (EYE_X + 20), EYES_Y + 1.6 * drop)]
            )
            lines.append(pose.place(stroke(path, [1.2, 0.2]), 3.0))
        lines.append(pose.place(stroke(np.array([(side * 3.0, 93.0), (side * 3.6, 101.0)]), [0.4, 1.4]), 4.0))
        marionette = smooth([(side * 19.5, pose.mouth_y + 5), (side * 21.0, pose.mouth_y + 14)])
        lines.append(pose.place(stroke(marionette, [1.4, 0.3]), 3.0))
    canvas.shade(canvas.covered(*lines, soften=0.45).times(min(age, 1.0)), (0.5, 0.42, 0.4))
    folds = [pose.place(stroke(fold(pose, side), [0.8, 3.4, 3.0, 0.8]), 4.0) for side in (-1, 1)]
    canvas.shade(canvas.covered(*folds, soften=1.0).times(min(0.9 * age, 1.0)), (0.52, 0.43, 0.4))
    for side in (-1, 1):
        canvas.shade(pose.spot(canvas, side * 33, 147, 6.5, 13, 2.0).times(0.6 * age), (0.62, 0.56, 0.52))
        canvas.shade(pose.spot(canvas, side * 37, 92, 5, 8, 1.0).times(0.4 * age), (0.72, 0.66, 0.62))
