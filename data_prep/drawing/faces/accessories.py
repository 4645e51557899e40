"""Glasses, hats, earrings and necklaces."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas
from data_prep.drawing.curves import Points, ellipse, shifted, smooth, stroke
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import EYE_X, EYES_Y, Pose

_ROUND, _OVAL, _HALF_RIMMED, _SUNGLASSES = 1, 3, 4, 5
_CAP, _KNITTED = 1, 2


def draw_jewellery(canvas: Canvas, pose: Pose) -> None:
    """Earrings and a necklace, golden or silver."""
    face = pose.face
    gold = colours.colour(222, 186, 96) if face.tie_hue < 0.5 else colours.colour(206, 210, 220)
    if face.necklace:
        chin, half = pose.chin_y, face.build
        chain = pose.curve(
            [
                (-1.05 * half, chin + 13),
                (-0.6 * half, chin + 24),
                (0, chin + 31),
                (0.6 * half, chin + 24),
                (1.05 * half, chin + 13),
            ]
        )
        canvas.paint(canvas.covered(stroke(chain, 1.4 + face.necklace)), gold * np.float32(0.9))
        canvas.paint(canvas.covered(pose.place(ellipse(0, chin + 32, 3.0, 3.6))), gold)
    if face.earrings:
        for side in (-1, 1):
            x = side * (face.face_width + 3.5)
            drop = canvas.covered(
                pose.place(ellipse(x, 139 + 3 * face.earrings, 2.6, 2.5 + 4 * face.earrings), -2.0)
            )
            canvas.paint(drop, gold)


def draw_glasses(canvas: Canvas, pose: Pose) -> None:
    """Two rims, bridge and temples; sunglasses are dark."""
    face = pose.face
    if not face.glasses:
        return
    kind, size, tone = int(face.glasses), face.glasses_size, colours.frame(face)
    thick = face.glasses_thickness + (1.0 if kind == _SUNGLASSES else 0.0)
    depth, y = 5.5, EYES_Y + 1.5
    rims = []
    for side in (-1, 1):
        lens = pose.place(_lens(kind, side, size, y), depth)
        inside = canvas.covered(lens)
        if kind == _SUNGLASSES:
            _, py = pose.coordinates(inside)
            canvas.paint(
                inside.times(0.9),
                (colours.colour(34, 30, 34) + tone * 0.25) * (0.8 + 0.028 * (y + 12 - py))[..., None],
            )
        else:
            canvas.paint(inside.times(0.08), 235.0)
        glint = np.array(
            [
                (side * EYE_X - 7, y + 5),
                (side * EYE_X - 3.5, y + 5),
                (side * EYE_X + 3.5, y - 7),
                (side * EYE_X, y - 7),
            ]
        )
        canvas.paint(canvas.covered(pose.place(glint, depth), soften=0.5).times(0.16), 255.0)
        ring = np.concatenate([lens, lens[:1]])
        rims.append(ring[len(ring) // 2 - 1 :] if kind == _HALF_RIMMED else ring)
    outlines = [stroke(rim, thick) for rim in rims]
    inner = EYE_X - 14.2 * size
    outlines.append(stroke(pose.curve([(-inner, y - 2.5), (0, y - 5.0), (inner, y - 2.5)], depth), thick))
    for side in (-1, 1):
        ear = np.array([(side * (EYE_X + 13.5 * size), y - 5), (side * (face.face_width + 1), y - 3)])
        start, end = pose.place(ear[:1], depth), pose.place(ear[1:], 0.0)
        outlines.append(stroke(np.concatenate([start, end]), 0.9 * thick))
    canvas.shade(
        canvas.covered(*(shifted(o, -1.2 * face.light_x, 2.6) for o in outlines[:3]), soften=1.1).times(0.4),
        (0.6, 0.52, 0.5),
    )
    for outline in outlines:
        canvas.paint(canvas.covered(outline), tone)


def _lens(kind: int, side: int, size: float, y: float) -> Points:
    x = side * (EYE_X + 0.3)
    if kind == _ROUND:
        return ellipse(x, y, 13.4 * size, 13.2 * size, 36)
    if kind == _OVAL:
        return ellipse(x, y, 14.2 * size, 10.2 * size, 36)
    w, h = 14.2 * size, (11.4 if kind == _SUNGLASSES else 10.2) * size
    # From the lower middle round by the nose, so that the upper half of the outline is the later one.
    return smooth(
        [
            (x + w * 0.95, y + 0.1 * h), (x + w * 0.78, y + 0.86 * h), (x, y + h), (x - w * 0.78, y + 0.86 * h),
            (x - w * 0.98, y + 0.1 * h), (x - w * 0.92, y - 0.82 * h), (x, y - 0.96 * h), (x + w * 0.92, y - 0.82 * h),
        ],
        closed=True,
    )  # fmt: skip


def draw_hat(canvas: Canvas, pose: Pose) -> None:
    """A cap, a knitted hat, or one with a brim all round."""
    face = pose.face
    if not face.hat:
        return
    tone = colours.from_hue(face.hat_hue, 0.55, 0.18 + 0.6 * abs(np.sin(7 * face.hat_hue)))
    wide = face.face_width + 6 + 5 * max(face.hair_volume, 0.0)
    crown = [
        (-wide, 78),
        (-wide * 0.97, 52),
        (-wide * 0.7, 28),
        (0, 18),
        (wide * 0.7, 28),
        (wide * 0.97, 52),
        (wide, 78),
        (0.5 * wide, 73),
        (0, 71),
        (-0.5 * wide, 73),
    ]
    patch = canvas.covered(pose.curve(crown, 0.0, closed=True))
    x, y = pose.coordinates(patch)
    shade = 1.0 - 0.35 * (x / wide) ** 2 + 0.25 * face.light_x * x / wide - 0.004 * (y - 20)
    if face.hat == _KNITTED:
        shade = shade + 0.12 * np.sin(x * 1.35) * (0.6 + 0.4 * np.sin(y * 0.9))
    canvas.paint(patch, tone * np.clip(shade, 0.3, 1.3)[..., None])
    if face.hat == _KNITTED:
        rim = [(-wide - 1, 80), (-wide - 1, 66), (0, 59), (wide + 1, 66), (wide + 1, 80), (0, 75)]
    elif face.hat == _CAP:
        rim = [
            (-wide * 0.9, 80),
            (-wide * 0.6, 70),
            (0, 65),
            (wide * 0.6, 70),
            (wide * 0.9, 80),
            (wide * 0.5, 88),
            (0, 90),
            (-wide * 0.5, 88),
        ]
    else:
        rim = [
            (-wide - 26, 84),
            (-wide * 0.8, 71),
            (0, 66),
            (wide * 0.8, 71),
            (wide + 26, 84),
            (wide * 0.6, 86),
            (0, 84),
            (-wide * 0.6, 86),
        ]
    brim = pose.curve(rim, 4.0, closed=True)
    canvas.shade(canvas.covered(shifted(brim, 0, 7.0), soften=3.0).times(0.6), (0.5, 0.44, 0.42))
    canvas.paint(canvas.covered(brim), tone * np.float32(0.8 + 0.1 * face.light_x))
