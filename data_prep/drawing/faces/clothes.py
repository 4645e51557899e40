"""What a person wears below the chin: round or open collars, a shirt, a tie."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.curves import Number, shifted
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import Pose

_VEE, _SHIRT, _BARE = 1, 2, 3
_STRIPED, _DOTTED = 2, 3


def draw_clothes(canvas: Canvas, pose: Pose) -> None:
    """Shoulders in cloth; a tie comes with shirt and jacket."""
    face = pose.face
    cloth = colours.from_hue(face.clothes_hue, face.clothes_saturation, face.clothes_value)
    style = _SHIRT if face.necktie else int(face.clothes)
    neck, chin = face.build, pose.chin_y
    if face.necktie:
        cloth = colours.from_hue(0.62, 0.3 * face.clothes_saturation, 0.12 + 0.28 * face.clothes_value)
    y = chin + 14
    shape: list[tuple[Number, Number]]
    if style == _BARE:
        shape = [
            (-100, 240),
            (-92, y + 27),
            (-56, y + 19),
            (-30, y + 25),
            (0, y + 27),
            (30, y + 25),
            (56, y + 19),
            (92, y + 27),
            (100, 240),
        ]
    else:
        shape = [
            (-100, 250),
            (-96, y + 22),
            (-66, y + 11),
            (-1.6 * neck, y + 2),
            (-1.12 * neck, y - 5),
            (-0.75 * neck, y + 4),
            (0, y + 9),
        ]
        shape += [(-px, py) for px, py in shape[-2::-1]]
    patch = canvas.covered(pose.curve(shape, -4.0))
    canvas.paint(patch, _folded(pose, cloth, *pose.coordinates(patch)))
    if style == _VEE:
        vee = canvas.covered(
            pose.place(np.array([(-0.85 * neck, y), (0.85 * neck, y), (0.0, y + 27)]), -2.0), soften=0.6
        )
        canvas.paint(vee, colours.skin(face) * np.float32(0.8))
    if style == _SHIRT:
        _shirt(canvas, pose, y)
    if face.necktie:
        _tie(canvas, pose, y)


def _folded(pose: Pose, cloth: Light, x: Light, y: Light) -> Light:
    shade = 0.86 + 0.16 * pose.face.light_x * x / 80 - 0.22 * (np.abs(x) / 95) ** 2
    shade = shade + 0.05 * np.sin(x * 0.16 + y * 0.1 + 6 * pose.face.clothes_hue)
    return (cloth * np.clip(shade, 0.3, 1.2)[..., None]).astype(np.float32)


def _shirt(canvas: Canvas, pose: Pose, y: float) -> None:
    """A front of shirt between the lapels, and the two points of the collar."""
    face, neck = pose.face, pose.face.build
    white = colours.from_hue(face.tie_hue + 0.45, 0.10, 0.93) if face.necktie else colours.from_hue(
        face.clothes_hue, 0.6 * face.clothes_saturation, min(face.clothes_value + 0.15, 1.0)
    )  # fmt: skip
    front = np.array(
        [(-0.9 * neck, y - 2), (0.9 * neck, y - 2), (0.62 * neck, y + 44), (-0.62 * neck, y + 44)]
    )
    canvas.paint(canvas.covered(pose.place(front, -2.0)), white * np.float32(0.86))
    if not face.necktie:
        open_collar = np.array([(-0.6 * neck, y - 4), (0.6 * neck, y - 4), (0.0, y + 15)])
        canvas.paint(canvas.covered(pose.place(open_collar, -2.0)), colours.skin(face) * np.float32(0.74))
    for side in (-1, 1):
        point = np.array(
            [
                (side * 1.12 * neck, y - 10),
                (side * 0.95 * neck, y - 3),
                (side * 1.5, y + 8),
                (side * 0.62 * neck, y + 17),
                (side * 1.32 * neck, y + 3),
            ]
        )
        canvas.shade(canvas.covered(shifted(pose.place(point, -1.0), 0, 1.6), soften=1.2).times(0.5), 0.55)
        canvas.paint(
            canvas.covered(pose.place(point, -1.0)), white * np.float32(0.98 + 0.04 * side * face.light_x)
        )


def _tie(canvas: Canvas, pose: Pose, y: float) -> None:
    face = pose.face
    tone = colours.from_hue(face.tie_hue, 0.78, 0.62)
    blade = np.array([(-4.0, y + 13), (4.0, y + 13), (9.5, y + 50), (-9.5, y + 50)])
    knot = np.array([(-7.0, y + 2), (7.0, y + 2), (4.4, y + 14.5), (-4.4, y + 14.5)])
    for outline, shade in ((blade, 0.92), (knot, 1.08)):
        patch = canvas.covered(pose.place(outline, -0.5))
        px, py = pose.coordinates(patch)
        pattern = np.zeros_like(px)
        if face.necktie == _STRIPED:
            pattern = ((px + py) % 9.0 < 3.2).astype(np.float32)
        elif face.necktie == _DOTTED:
            pattern = (((px % 5.0) - 2.5) ** 2 + ((py % 5.0) - 2.5) ** 2 < 1.6).astype(np.float32)
        cloth = tone + pattern[..., None] * (colours.colour(236, 232, 222) - tone)
        canvas.paint(
            patch, cloth * (np.float32(shade) - 0.018 * np.abs(px) + 0.02 * face.light_x * px)[..., None]
        )
    canvas.shade(
        canvas.covered(
            pose.place(np.array([(-4.5, y + 14), (4.5, y + 14), (5, y + 16.5), (-5, y + 16.5)]), -0.5),
            soften=0.5,
        ).times(0.7),
        0.5,
    )
