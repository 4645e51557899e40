"""Eyes, the bags under them, their make-up, and brows. Both sides are drawn at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from data_prep.drawing.canvas import Canvas, Patch
from data_prep.drawing.curves import Number, Points, ellipse, shifted, smooth, stroke
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import EYE_X, EYES_Y, Pose

_DEPTH = 4.0
_SIDES = (-1, 1)
_HAIRS = np.linspace(0.04, 0.9, 11)


def draw_eyes(canvas: Canvas, pose: Pose) -> None:
    """Eyes from the skin outwards: bags, eye shadow, the white with iris and pupil, lids, lashes, the liner's wing."""
    face, skin = pose.face, colours.skin(pose.face)
    _bags(canvas, pose)
    lids = [_lids(pose, side) for side in _SIDES]
    if face.makeup:
        shadows = [
            pose.place(np.concatenate([upper, shifted(upper, 1.2 * side, -7.5)[::-1]]), _DEPTH)
            for (upper, _), side in zip(lids, _SIDES, strict=True)
        ]
        canvas.paint(canvas.covered(*shadows, soften=1.3).times(0.85 * face.makeup), colours.eye_shadow(face))
    white = canvas.covered(
        *(pose.place(np.concatenate([upper, lower[::-1]]), _DEPTH) for upper, lower in lids)
    )
    canvas.paint(white, colours.colour(232, 226, 222) * np.float32(0.78 + 0.2 * face.ambient))
    look, y, radius = 2.2 * (face.gaze + 0.4 * face.yaw), EYES_Y - 0.6, 4.6
    for size, tone in (
        (1.0, colours.iris(face) * np.float32(0.55)),
        (0.8, colours.iris(face)),
        (0.46, colours.colour(12, 10, 10)),
    ):
        discs = [ellipse(side * EYE_X + look, y, size * radius, size * radius, 18) for side in _SIDES]
        canvas.paint(canvas.covered(*(pose.place(disc, _DEPTH) for disc in discs), within=white), tone)

    def lines(
        widths: Sequence[Number], *, lower: bool = False, lift: float = 0.0, soften: float = 0.0
    ) -> Patch:
        paths = [stroke(lid[lower] - [0, lift], widths) for lid in lids]
        return canvas.covered(*(pose.place(path, _DEPTH) for path in paths), soften=soften)

    canvas.shade(lines([1, 3, 3, 1], lift=-0.8, soften=0.7).times(0.5), (0.5, 0.46, 0.46))
    glints = [ellipse(side * EYE_X + look + 1.3 + face.light_x, y - 1.6, 1.0, 1.0, 10) for side in _SIDES]
    canvas.paint(canvas.covered(*(pose.place(glint, _DEPTH) for glint in glints)).times(0.9), 250.0)
    lash = 1.5 + 1.5 * face.makeup
    canvas.paint(
        lines([0.5 * lash, lash, 1.1 * lash, 0.7 * lash]).times(0.9),
        skin * np.float32(0.22 - 0.12 * face.makeup),
    )
    canvas.paint(
        lines([0.5, 0.8 + face.makeup], lower=True).times(0.45 + 0.3 * face.makeup), skin * np.float32(0.38)
    )
    canvas.shade(lines([0.4, 1.3, 1.5, 0.4], lift=3.4, soften=0.5).times(0.7), (0.62, 0.54, 0.5))
    if face.makeup:
        wings = [
            stroke(
                np.array([upper[-6], upper[-1], (side * (EYE_X + face.eye_size + 4.0), EYES_Y - 3.6)]),
                [1.0, 1.8, 0.3],
            )
            for (upper, _), side in zip(lids, _SIDES, strict=True)
        ]
        canvas.paint(canvas.covered(*(pose.place(wing, _DEPTH) for wing in wings)).times(face.makeup), 18.0)


def draw_brows(canvas: Canvas, pose: Pose) -> None:
    """Brows: a tapered arc, and short hairs across it."""
    tone, thick = colours.brows(pose.face), pose.face.brow_thickness
    paths = [_brow(pose, side) for side in _SIDES]
    widths = [0.75 * thick, thick, thick, 0.72 * thick, 0.25 * thick]
    body = canvas.covered(*(pose.place(stroke(path, widths), _DEPTH) for path in paths), soften=0.5)
    canvas.paint(body.times(0.62 + 0.045 * thick), tone)
    corners = []
    for path, side in zip(paths, _SIDES, strict=True):
        middle = path[(_HAIRS * (len(path) - 1)).astype(int)]
        lean = side * (0.4 + 2.4 * _HAIRS)
        low = middle + np.stack([-0.4 * lean, np.full_like(lean, 0.42 * thick)], axis=1)
        high = middle + np.stack([lean, -(0.62 - 0.25 * _HAIRS) * thick], axis=1)
        corners.append(np.stack([shifted(low, -0.45, 0), shifted(low, 0.45, 0), high], axis=1))
    hairs = pose.place(np.concatenate(corners).reshape(-1, 2), _DEPTH).reshape(-1, 3, 2)
    canvas.paint(canvas.covered(*hairs).times(0.7), tone * np.float32(0.8))


def _brow(pose: Pose, side: int) -> Points:
    """The middle of a brow from nose to temple, in the face's own coordinates."""
    face = pose.face
    y, arch = EYES_Y - face.brow_height, face.brow_arch
    controls = [
        (side * 7.5, y + 0.4 - face.brow_slope), (side * 15.0, y - 0.9 - 0.5 * arch), (side * 23.0, y - arch - 0.6),
        (side * 32.5, y + 2.4 + 0.15 * arch + face.brow_slope),
    ]  # fmt: skip
    return smooth(controls)


def _lids(pose: Pose, side: int) -> tuple[Points, Points]:
    """Upper and lower edge of an eye's opening, from the corner at the nose to the other."""
    face = pose.face
    half, height = face.eye_size, 2 * face.eye_size * face.eye_opening
    inner, outer = (side * (EYE_X - half), EYES_Y + 1.6), (side * (EYE_X + half), EYES_Y - 0.4)
    upper = [
        inner, (side * (EYE_X - 0.5 * half), EYES_Y - 0.48 * height), (side * EYE_X, EYES_Y - 0.66 * height),
        (side * (EYE_X + 0.55 * half), EYES_Y - 0.5 * height), outer,
    ]  # fmt: skip
    lower = [
        inner, (side * (EYE_X - 0.4 * half), EYES_Y + 0.3 * height), (side * (EYE_X + 0.3 * half), EYES_Y + 0.36 * height),
        outer,
    ]  # fmt: skip
    return smooth(upper), smooth(lower)


def _bags(canvas: Canvas, pose: Pose) -> None:
    """A puffy crescent below each eye: darker skin, a light swelling and the crease under it."""
    bags = pose.face.bags
    if bags < 0.02:
        return
    crescents, creases = [], []
    for side in _SIDES:
        upper = smooth(
            [
                (side * (EYE_X - 10), EYES_Y + 4.0),
                (side * EYE_X, EYES_Y + 7.0),
                (side * (EYE_X + 10), EYES_Y + 4.0),
            ]
        )
        lower = smooth(
            [
                (side * (EYE_X - 11), EYES_Y + 5.0),
                (side * (EYE_X - 1), EYES_Y + 15.5),
                (side * (EYE_X + 11), EYES_Y + 7.5),
            ]
        )
        crescents.append(pose.place(np.concatenate([upper, lower[::-1]]), _DEPTH))
        creases.append(pose.place(stroke(lower, [0.3, 1.8, 1.8, 0.3]), _DEPTH))
    canvas.shade(canvas.covered(*crescents, soften=1.4).times(bags), (0.72, 0.62, 0.68))
    for side in _SIDES:
        swelling = pose.spot(canvas, side * (EYE_X - 1), EYES_Y + 8.5, 6.0, 1.8, _DEPTH)
        canvas.shade(swelling.times(0.5 * bags), 1.25)
    canvas.shade(canvas.covered(*creases, soften=0.6).times(0.85 * bags), (0.56, 0.46, 0.5))
