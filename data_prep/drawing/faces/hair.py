"""Hair: what lies behind the head, and the cap with its hairline, locks and bangs in front."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light, Patch
from data_prep.drawing.curves import Points, ellipse, mirrored, rippled, shifted, smooth
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.pose import Pose

_ENDS = (112.0, 116.0, 166.0, 206.0, 240.0, 112.0)
"""down to where hair of each length hangs"""
_SHORT = (0, 1, 5)
_TIED = 5
_DEPTH = 1.5


def draw_hair_behind(canvas: Canvas, pose: Pose, streaks: Light) -> None:
    """Long hair behind neck and shoulders, or the knot of hair that is tied up."""
    face = pose.face
    if face.baldness:
        return
    if face.hair_length == _TIED:
        knot = canvas.covered(_waved(pose, pose.place(ellipse(6 * face.parting, 35, 15, 13), -2.0)))
        _paint_hair(canvas, pose, knot, streaks, 0.72)
    elif int(face.hair_length) not in _SHORT:
        patch = canvas.covered(_waved(pose, pose.curve(mirrored(_outer(pose)), -3.0)))
        _paint_hair(canvas, pose, patch, streaks, 0.5)


def draw_hair(canvas: Canvas, pose: Pose, streaks: Light, jags: Light) -> None:
    """The hair in front and its shadow. ``streaks``: 1-d, around 0, along the strands; ``jags``: bangs' uneven ends."""
    face = pose.face
    outlines = [_fringe(pose, side) for side in (-1, 1)] if face.baldness else [_cap(pose)]
    if face.baldness > 0.85:
        return
    if face.bangs:
        outlines.append(_bangs(pose, jags))
    shadow = canvas.covered(
        *(shifted(outline, 1.5 - 3.0 * face.light_x, 4.0) for outline in outlines), soften=3.0
    )
    x, y = pose.coordinates(shadow)
    on_skin = (np.abs(x) < face.face_width + 1) & (y > 58) & (y < 190)
    canvas.shade(shadow.times(0.45 * on_skin), (0.62, 0.52, 0.48))
    patch = canvas.covered(*outlines, soften=0.6 + (1.2 if face.baldness else 0.0))
    _paint_hair(canvas, pose, patch.times(0.75) if face.baldness else patch, streaks, 1.0)


def _outer(pose: Pose) -> list[tuple[float, float]]:
    """The outer edge of the hair from the crown down, right half, in the face's own coordinates."""
    face = pose.face
    length, volume, width = (
        int(face.hair_length),
        face.hair_volume + 0.35 * (face.wave > 0),
        face.face_width - 43,
    )
    end = _ENDS[length]
    if length in _SHORT:
        top = (2.5, 6.0 + 8.0 * max(volume, 0), 4.0)[(0, 1, 5).index(length)]
        side = (1.0, 2.5 + 1.5 * volume, 1.5)[(0, 1, 5).index(length)]
        return [
            (0.0, 42.0 - top), (22.5, 47.5 - 0.95 * top), (39.0 + width + 0.5 * side, 66.0 - 0.5 * top),
            (45.5 + width + side, 87.0), (46.0 + width + 0.6 * side, 100.0), (45.0 + width, end),
        ]  # fmt: skip
    top = 5.0 + 4.0 * volume
    side = 5.0 + 6.0 * volume
    middle = 0.5 * (100.0 + end)
    return [
        (0.0, 41.0 - top), (23.0, 46.5 - 0.95 * top), (40.5 + width + 0.4 * side, 63.0), (46.0 + width + 0.8 * side, 90.0),
        (47.0 + width + side, middle), (46.0 + width + 1.2 * side, end - 14.0), (40.0 + width + 0.8 * side, end),
    ]  # fmt: skip


def _cap(pose: Pose) -> Points:
    """Everything between the outer edge and the hairline."""
    face = pose.face
    right, long = _outer(pose), int(face.hair_length) not in _SHORT
    back, width = face.hairline, face.face_width - 43
    part = 6.0 * face.parting * (1 - back)
    lock = 2.0 + 4.0 * max(face.hair_volume, 0.0)
    end = right[-1][1]
    edges = []
    for side in (1, -1):
        temple = [
            (38.5 + width + 1.5 * back, 92.0 - 3.0 * back), (33.5 - 2.0 * back, 79.0 - 15.0 * back),
            (21.0, 69.0 - 21.0 * back - side * part),
        ]  # fmt: skip
        if long:
            hanging = [
                (35.0 + width, end - 3),
                (41.0 + width - lock, 0.5 * (end + 120)),
                (42.0 + width - 0.6 * lock, 122.0),
                (40.5 + width, 104.0),
            ]
        else:
            hanging = [(42.0 + width, end + 1), (41.0 + width, 104.0)]
        edges.append([(side * x, y) for x, y in hanging + temple])
    inner = [*edges[0], (0.0, 66.5 - 10.0 * back), *edges[1][::-1]]
    rim = _waved(pose, pose.curve(mirrored(right), _DEPTH - 1))
    return np.concatenate([rim, pose.curve(inner, _DEPTH)])


def _fringe(pose: Pose, side: int) -> Points:
    """What is left above the ears of a bald head."""
    wide = pose.face.face_width - 43
    return pose.curve(
        [
            (side * (43 + wide), 88),
            (side * (46.5 + wide), 98),
            (side * (46 + wide), 114),
            (side * (42 + wide), 113),
            (side * (40.5 + wide), 100),
        ],
        closed=True,
    )


def _bangs(pose: Pose, jags: Light) -> Points:
    """Hair combed over the forehead, its lower edge in uneven strands."""
    face = pose.face
    x = np.linspace(-38.0, 38.0, 34)
    low = 68.0 + 25.0 * face.bangs - 5.5 * (x / 38.0) ** 2 + 7.0 * face.bangs_sweep * x / 38.0
    low = low + 2.6 * jags[: len(x)] + 1.5 * (np.arange(len(x)) % 2)
    top = smooth([(40.0, 84.0), (33.0, 62.0), (0.0, 54.0), (-33.0, 62.0), (-40.0, 84.0)])
    return np.concatenate([pose.place(np.stack([x, low], axis=1), 2.5), pose.place(top, _DEPTH)])


def _waved(pose: Pose, rim: Points) -> Points:
    face = pose.face
    if not face.wave:
        return rim
    above = -np.inf if int(face.hair_length) in _SHORT else 66.0
    amplitude = 3.6 * face.wave if above > 0 else 1.9 * face.wave
    return rippled(rim, amplitude, 0.9 * face.wave_length if above > 0 else 11.0, face.wave_phase, above)


def _paint_hair(canvas: Canvas, pose: Pose, patch: Patch, streaks: Light, brightness: float) -> None:
    """Strands run from the crown outwards; a band of shine lies across them, and waves bend them."""
    face = pose.face
    x, y = pose.coordinates(patch)
    dx, dy = x - np.float32(26.0 * face.parting), y - np.float32(18.0)
    # Above the ears strands spread like rays, below they hang: the ray's slope stays that of the ear's height.
    across = dx / np.clip(np.abs(dy) + 12, 24, 108)
    phase = dy * np.float32(2 * np.pi / (1.25 * face.wave_length)) + np.float32(face.wave_phase)
    phase = phase + 3.0 * np.abs(across)
    if face.wave:
        across = across + np.float32(0.085 * face.wave) * np.sin(phase)
    index = ((across + 2.2) * np.float32(len(streaks) / 4.4)).astype(np.int32)
    strand = streaks[np.clip(index, 0, len(streaks) - 1)]
    distance = np.hypot(dx * 0.85, dy)
    shine = np.exp(-0.5 * ((distance - np.float32(42 + 6 * face.light_y)) / 11) ** 2) * (
        1 + 0.6 * face.light_x * dx / 45
    )
    shade = (
        0.78
        + 0.17 * strand
        + np.float32(0.3) * np.clip(shine, 0, 1.3)
        + np.float32(0.1 * face.light_x) * dx / 45
    )
    shade = shade * (1.06 - 0.24 * np.clip((y - 80) / 130, 0, 1))
    if face.wave:
        shade = shade + np.float32(0.24 * face.wave) * np.sin(phase + 1.3) * (y > 48)
    tone = colours.hair(face) * (np.float32(brightness) * np.clip(shade, 0.25, 1.7))[..., None]
    tone += np.float32(26 * brightness) * np.clip(shine, 0, 1)[..., None] * (0.6 + 0.4 * strand)[..., None]
    canvas.paint(patch, tone.astype(np.float32))
