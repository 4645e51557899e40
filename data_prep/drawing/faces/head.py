"""Neck, ears and the head's skin: a relief of soft hills lit from one side."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import ellipse, stroke
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import EYE_X, EYES_Y, Pose

_SCATTERED = np.array([0.80, 1.0, 1.12], np.float32)
"""Exponents of the shade per channel: light that went through skin is red, so its shadows are warm."""


def draw_neck(canvas: Canvas, pose: Pose) -> None:
    """The neck and the bare part below it, in the shadow of the chin."""
    face = pose.face
    half, chin = face.build, pose.chin_y
    neck = [
        (-half * 0.96, chin - 34), (-half * 0.94, chin - 6), (-half * 1.0, chin + 10), (-half * 1.35, chin + 22),
        (-half * 2.4, chin + 32), (-half * 3.0, 240.0), (half * 3.0, 240.0), (half * 2.4, chin + 32),
        (half * 1.35, chin + 22), (half * 1.0, chin + 10), (half * 0.94, chin - 6), (half * 0.96, chin - 34),
    ]  # fmt: skip
    patch = canvas.covered(pose.curve(neck))
    x, _ = pose.coordinates(patch)
    round_shade = 0.93 - 0.2 * np.minimum(np.abs(x) / (half * 1.3), 1.2) ** 2 + 0.12 * face.light_x * x / half
    canvas.paint(patch, _lit(colours.skin(face) * np.float32(0.92), np.clip(round_shade, 0.3, 1.2)))
    canvas.shade(pose.spot(canvas, -4.0 * face.light_x, chin + 1, 30, 11), (0.55, 0.46, 0.42))
    for side in (-1, 1):  # the two cords that meet above the breastbone
        cord = pose.curve(
            [(side * half * 0.75, chin + 6), (side * half * 0.45, chin + 20), (side * 5, chin + 34)]
        )
        canvas.shade(canvas.covered(stroke(cord, [2, 5, 3]), soften=1.6).times(0.35), (0.75, 0.68, 0.64))


def draw_ears(canvas: Canvas, pose: Pose) -> None:
    """Both ears; hair and head are drawn over them."""
    face = pose.face
    for side in (-1, 1):
        x = side * (face.face_width + 2.0)
        patch = canvas.covered(pose.place(ellipse(x, 122, 5.4, 12.0), -3.0))
        canvas.paint(patch, _lit(colours.skin(face), np.float32(0.84 + 0.16 * face.light_x * side)))
        inner = canvas.covered(pose.place(ellipse(x + side, 121, 2.6, 7.5), -3.0), soften=1.0)
        canvas.shade(inner.times(0.7), (0.66, 0.52, 0.48))


def draw_head(canvas: Canvas, pose: Pose, grain: Light) -> None:
    """The skin of the head with the relief of nose, brows, cheeks, mouth and chin. ``grain``: (H, W), around 0."""
    face = pose.face
    outline = pose.place(pose.head_outline())
    patch = canvas.covered(outline)
    shade, shine = _shading(pose, patch)
    shade = shade + patch.of(grain) * np.float32(0.012 + 0.02 * face.wrinkles)
    tone = _lit(colours.skin(face), shade)
    tone += (np.float32(78 * (0.55 + 0.45 * (1 - face.skin_tone))) * shine)[..., None]
    canvas.paint(patch, tone)
    _redden(canvas, pose)
    if face.fullness > 0.4:
        _double_chin(canvas, pose)


def _shading(pose: Pose, patch: Patch) -> tuple[Light, Light]:
    """How much light each pixel sends back, and how much of it as shine; both (h, w)."""
    face = pose.face
    x, y = pose.coordinates(patch)
    across = np.clip(x / np.float32(1.16 * (face.face_width + 2.5 * face.fullness)), -0.93, 0.93)
    down = np.clip((y - 108) / np.float32(98), -0.85, 0.85)
    towards = np.sqrt(np.maximum(1 - across**2 - down**2, np.float32(0.08)))
    slope_x, slope_y = across / towards, down / towards
    for cx, cy, rx, ry, height in _hills(pose):
        left, top = cx - 2.8 * rx, cy - 2.8 * ry
        columns = slice(*np.searchsorted(x[0], [left - 4, cx + 2.8 * rx + 4]))
        rows = slice(*np.searchsorted(y[:, 0], [top - 4, cy + 2.8 * ry + 4]))
        dx, dy = x[rows, columns] - np.float32(cx), y[rows, columns] - np.float32(cy)
        hill = np.float32(height) * np.exp(-0.5 * ((dx / np.float32(rx)) ** 2 + (dy / np.float32(ry)) ** 2))
        slope_x[rows, columns] += hill * dx * np.float32(1 / rx**2)
        slope_y[rows, columns] += hill * dy * np.float32(1 / ry**2)
    light = np.array([0.75 * face.light_x, face.light_y, 0.9])
    lx, ly, lz = (light / np.linalg.norm(light)).astype(np.float32)
    facing = (slope_x * lx + slope_y * ly + lz) / np.sqrt(1 + slope_x**2 + slope_y**2)
    lit = np.maximum(facing, 0)
    shade = np.float32(face.ambient) + np.float32(1.1 - face.ambient) * lit
    half_way = np.array([light[0], light[1], light[2] + np.linalg.norm(light)])
    hx, hy, hz = (half_way / np.linalg.norm(half_way)).astype(np.float32)
    mirror = np.maximum((slope_x * hx + slope_y * hy + hz) / np.sqrt(1 + slope_x**2 + slope_y**2), 0)
    return shade, mirror**24 * np.float32(0.42)


def _hills(pose: Pose) -> list[tuple[float, float, float, float, float]]:
    """(x, y, rx, ry, height) of what stands out of the face, or lies deeper."""
    face = pose.face
    turn, nose, mouth, chin = face.yaw, pose.nose_y, pose.mouth_y, pose.chin_y
    smile = max(face.smile, 0.0)
    hills = [
        (5 * turn, EYES_Y + 0.42 * face.nose_length, 3.9, 11.0, 6.0),
        (6 * turn, nose - 5.0, 0.62 * face.nose_width, 5.0, 6.5),
        (4.5 * turn, mouth - 1, 14.0, 9.0, 3.2),
        (3.5 * turn, chin - 7, 9.5, 6.0, 4.2),
        (3.5 * turn, mouth + 10.5, 9.0, 2.6, -1.6),
        (2 * turn, 82.0, 26.0, 15.0, 3.0),
    ]
    for side in (-1, 1):
        hills += [
            (6 * turn + side * 0.88 * face.nose_width, nose - 3.0, 2.7, 3.2, 2.3),
            (4 * turn + side * (EYE_X - 0.5), EYES_Y - 1.0, 10.0, 6.0, -4.2),
            (3.5 * turn + side * 18.0, EYES_Y - 13.0, 11.0, 4.0, 2.0),
            (3 * turn + side * 25.0, 131.0 - 2.0 * smile, 10.5, 9.0, 3.6 + 3.0 * smile + 2.0 * face.fullness),
            (2 * turn + side * 29.0, mouth + 3, 11.0, 10.0, 5.0 * face.fullness),
        ]
    return hills


def _redden(canvas: Canvas, pose: Pose) -> None:
    """Blood and rouge in the cheeks, and the red of the nose's tip."""
    face = pose.face
    red = min(0.16 * face.skin_redness + 0.75 * face.blush, 1.0)
    canvas.shade(
        pose.spot(canvas, 0, pose.nose_y - 4, 7, 5, 6.0).times(0.25 + 0.25 * face.skin_redness),
        (1, 0.86, 0.84),
    )
    for side in (-1, 1):
        patch = pose.spot(canvas, side * 26, 133, 10, 8, 3.0)
        canvas.shade(patch.times(red), (1.02, 0.74, 0.74))
        if face.makeup:
            rouge = pose.spot(canvas, side * 29, 131, 9, 7, 3.0)
            canvas.shade(rouge.times(face.makeup), (1.0, 0.70, 0.74))


def _double_chin(canvas: Canvas, pose: Pose) -> None:
    face, chin = pose.face, pose.chin_y
    crease = pose.curve(
        [(-17, chin - 9), (-9, chin - 3.5), (0, chin - 2), (9, chin - 3.5), (17, chin - 9)], 2.0
    )
    canvas.shade(
        canvas.covered(stroke(crease, [0.5, 3, 3, 0.5]), soften=1.1).times(0.75 * face.fullness),
        (0.64, 0.54, 0.5),
    )


def _lit(tone: Light, shade: Light | np.float32) -> Light:
    """A colour (3,) under a shade (…): (…, 3)."""
    return tone * np.asarray(shade, np.float32)[..., None] ** _SCATTERED
