"""Which part of the picture a label may change: one box per label, from the same factors as the drawing.

A box holds every pixel that changes by more than a few grey values when the label is switched and all else stays, before
JPEG spreads it over its blocks, and unless switching takes a hat off. ``touched`` gives the exact pixels.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from data_prep.celeba_names import CCVAE_LABELS
from data_prep.drawing.drawing import Box
from data_prep.drawing.faces.factors import Face
from data_prep.drawing.faces.labels import switched
from data_prep.drawing.faces.picture import paint, person, portrait
from data_prep.drawing.faces.pose import EYES_Y, HEIGHT, WIDTH, Pose

_VISIBLE = 4.0
"""Grey values; smaller changes are invisible under the sensor noise."""


def regions(face: Face) -> dict[str, Box]:
    """The box of each of the 18 labels."""
    pose = Pose.of(face)
    wide = face.face_width + 9.0
    crown, brows, chin = 26.0, EYES_Y - 31.0, pose.chin_y
    long_hair = 16.0 + 6.0 * face.hair_volume
    hair = (-face.face_width - long_hair, 10.0, face.face_width + long_hair, float(HEIGHT))
    parts = {
        "Arched_Eyebrows": (-40.0, brows, 40.0, EYES_Y - 3),
        "Bags_Under_Eyes": (-36.0, EYES_Y, 36.0, EYES_Y + 21),
        "Bangs": (-wide, 44.0, wide, EYES_Y - 3),
        "Black_Hair": hair,
        "Blond_Hair": hair,
        "Brown_Hair": hair,
        "Bushy_Eyebrows": (-40.0, brows, 40.0, EYES_Y - 3),
        "Chubby": (-wide - 5, 62.0, wide + 5, chin + 8),
        "Eyeglasses": (-wide, EYES_Y - 20, wide, EYES_Y + 24),
        "Heavy_Makeup": (-wide, EYES_Y - 20, wide, pose.mouth_y + 24),
        "Male": (-95.0, 0.0, 95.0, float(HEIGHT + 8)),
        "No_Beard": (-wide, EYES_Y + 2, wide, chin + 12),
        "Pale_Skin": (-100.0, crown, 100.0, float(HEIGHT + 8)),
        "Receding_Hairline": (-wide, crown, wide, EYES_Y + 2),
        "Smiling": (-wide, EYES_Y - 6, wide, chin + 3),
        "Wavy_Hair": hair,
        "Wearing_Necktie": (-100.0, chin - 6, 100.0, float(HEIGHT + 8)),
        "Young": (-wide, 66.0, wide, chin + 2),
    }
    return {name: _box(pose, parts[name]) for name in CCVAE_LABELS}


def touched(seed: int, index: int, name: str) -> NDArray[np.bool_]:
    """The pixels (218, 178) of person ``index`` that change when this label is switched and all else stays."""
    labels, _ = person(seed, index)
    shots = [portrait(seed, index, switched(labels, name, value)) for value in (False, True)]
    off, on = (paint(shot) for shot in shots)
    return np.abs(on - off).max(axis=2) > _VISIBLE


def _box(pose: Pose, part: tuple[float, float, float, float]) -> Box:
    left, upper, right, lower = part
    corners = pose.place([(left, upper), (right, upper), (right, lower), (left, lower)], 0.0)
    turn = 6.0 * abs(pose.face.yaw)
    x0, y0 = corners.min(axis=0)
    x1, y1 = corners.max(axis=0)
    return (
        max(math.floor(x0 - turn), 0),
        max(math.floor(y0), 0),
        min(math.ceil(x1 + turn), WIDTH),
        min(math.ceil(y1), HEIGHT),
    )
