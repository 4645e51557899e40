"""From the face's own coordinates to the picture's: x from the middle of the face, y as in CelebA's aligned pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import Number, Points, mirrored, smooth
from data_prep.drawing.faces.factors import Face

WIDTH, HEIGHT = 178, 218
EYES_Y = 112.0
"""where CelebA's alignment puts the eyes"""
EYE_X = 19.5
_PIVOT = (0.0, 130.0)
_MIDDLE = (89.0, 130.0)


@dataclass(frozen=True)
class Pose:
    """Places points of the face in the picture; what stands out more turns further when the head turns."""

    face: Face
    turn: NDArray[np.float64]
    """(2, 2): rotation and scale"""

    @staticmethod
    def of(face: Face) -> Pose:
        angle = np.deg2rad(face.roll)
        cosine, sine = face.scale * np.cos(angle), face.scale * np.sin(angle)
        return Pose(face, np.array([[cosine, -sine], [sine, cosine]]))

    def place(self, points: Points | Sequence[tuple[Number, Number]], depth: Number = 0.0) -> Points:
        """Picture coordinates (n, 2); ``depth`` is how far in front of the ears they are, in pixels."""
        (xx, xy), (yx, yy) = self.turn.tolist()
        face, x, y = self.face, self.face.yaw * depth - _PIVOT[0], -_PIVOT[1]
        moved = (_MIDDLE[0] + face.shift_x + xx * x + xy * y, _MIDDLE[1] + face.shift_y + yx * x + yy * y)
        return np.asarray(points, dtype=np.float64) @ self.turn.T + np.array(moved)

    def curve(
        self, controls: Sequence[tuple[Number, Number]] | Points, depth: Number = 0.0, *, closed: bool = False
    ) -> Points:
        """A smooth curve through control points, in the picture."""
        return self.place(smooth(controls, closed=closed), depth)

    def spot(
        self, canvas: Canvas, x: Number, y: Number, rx: Number, ry: Number, depth: Number = 0.0
    ) -> Patch:
        """``Canvas.spot`` around a point of the face."""
        ((px, py),) = self.place([(x, y)], depth)
        return canvas.spot(px, py, rx, ry)

    def coordinates(self, patch: Patch) -> tuple[Light, Light]:
        """The face's own (x, y), each (h, w), of the pixels of a patch."""
        columns = np.arange(patch.columns.start, patch.columns.stop, dtype=np.float32) + np.float32(
            0.5 - _MIDDLE[0] - self.face.shift_x
        )
        rows = np.arange(patch.rows.start, patch.rows.stop, dtype=np.float32) + np.float32(
            0.5 - _MIDDLE[1] - self.face.shift_y
        )
        back = np.linalg.inv(self.turn).astype(np.float32)
        x = back[0, 0] * columns + (back[0, 1] * rows)[:, None]
        y = back[1, 0] * columns + (back[1, 1] * rows)[:, None]
        return x, y + np.float32(_PIVOT[1])

    @property
    def mouth_y(self) -> float:
        return EYES_Y + 0.59 * self.face.face_length

    @property
    def nose_y(self) -> float:
        """The lower end of the nose."""
        return EYES_Y + self.face.nose_length

    @property
    def chin_y(self) -> float:
        return EYES_Y + self.face.face_length

    def head_outline(self) -> Points:
        """The skin of the head from crown to chin, in the face's own coordinates."""
        face, chin = self.face, self.chin_y
        width, jaw, fat, length = face.face_width, face.face_width * face.jaw, face.fullness, face.face_length
        right = [
            (0.0, 42.0), (width * 0.48, 48.5), (width * 0.84, 67.5), (width * 0.98, 90.0),
            (width + fat, 108.0), (width * 0.975 + 4.0 * fat, 131.0), (jaw + 7.5 * fat, EYES_Y + 0.60 * length),
            (face.chin + 0.50 * (jaw - face.chin) + 7.5 * fat, EYES_Y + 0.83 * length),
            (face.chin + 6.0 * fat, EYES_Y + 0.96 * length + 1.5 * fat), (0.0, chin + 2.5 * fat),
        ]  # fmt: skip
        return smooth(mirrored(right), closed=True)
