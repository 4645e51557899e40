"""What draws lines through the lungs from the front: vessels, ribs and collar bones."""

from __future__ import annotations

import numpy as np

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.curves import Points, ellipse, smooth, stroke
from data_prep.drawing.radiographs.anatomy import Lungs
from data_prep.drawing.radiographs.frame import Frame

_SIDES = (-1, 1)
_RIBS = 10
_COLLAR = [12.0, 9.0, 9.0, 11.0]


def draw_vessels(canvas: Canvas, frame: Frame, lungs: Lungs, jitter: Light) -> None:
    """The hila and the vessels that branch from them. ``jitter``: (n,), around 0."""
    wander, outlines, at = jitter.tolist(), [], 0
    for side in _SIDES:
        hilum = np.array([side * 36.0, 132.0 if side < 0 else 126.0])
        root = frame.place(ellipse(hilum[0], hilum[1] + 4, 11, 22))
        canvas.add(canvas.covered(root, soften=4.0), 0.10)
        for branch in range(9):
            angle = -1.25 + 2.55 * branch / 8 + 0.08 * wander[at]
            reach = 68 + 12 * wander[at + 1]
            direction = np.array([side * np.cos(angle), np.sin(angle)])
            bend = np.array([-direction[1], direction[0]]) * 7 * wander[at + 2]
            along = np.array([[0.0], [0.5], [1.0]]) * reach * direction
            path = smooth(hilum + along + np.array([[0.0], [1.0], [0.4]]) * bend)
            outlines.append(frame.place(stroke(path, [5.0, 3.0, 1.0])))
            fork = hilum + 0.55 * reach * direction + bend
            twig = np.array(
                [fork, fork + 0.45 * reach * np.array([side * np.cos(angle + 0.5), np.sin(angle + 0.5)])]
            )
            outlines.append(frame.place(stroke(twig, [2.4, 0.6])))
            at += 3
    tree = canvas.covered(*outlines, soften=0.9)
    strength = 0.11 + 0.07 * frame.chest.edema
    canvas.add(tree.times(tree.of(lungs.both)), strength)


def draw_bones(canvas: Canvas, frame: Frame, lungs: Lungs, body: Light) -> None:
    """Ribs from behind and in front, and the collar bones. A bone is denser at its edges."""
    patient, wide = frame.patient, frame.half / 134
    behind, before = [], []
    for number in range(_RIBS):
        y, share = 46.0 + 20.5 * number * patient.thorax_length, min(0.62 + 0.075 * number, 1.02)
        fall = 14.0 + 6.0 * patient.rib_slope + 3.4 * number
        for side in _SIDES:
            reach = side * 134 * wide * share
            behind.append(
                smooth(
                    [
                        (side * 15.0, y),
                        (0.33 * reach, y - 5),
                        (0.66 * reach, y + 0.25 * fall),
                        (0.9 * reach, y + 0.75 * fall),
                        (reach, y + 1.35 * fall),
                    ]
                )
            )
            if 0 < number < 8:
                before.append(
                    smooth(
                        [
                            (0.99 * reach, y + 1.3 * fall),
                            (0.84 * reach, y + 1.3 * fall + 20),
                            (0.58 * reach, y + 1.3 * fall + 27),
                        ]
                    )
                )
    inside = np.float32(0.3) + np.float32(0.7) * lungs.both
    for paths, widths, middle, edge in (
        (behind, [8.5, 9.5, 10.0, 9.0], 0.050, 0.045),
        (before, [9.0, 10.0, 11.5], 0.030, 0.025),
    ):
        _draw_bone(
            canvas, frame, inside, paths, widths, middle * patient.rib_density, edge * patient.rib_density
        )
    lift, collar = (6.0 if frame.exposure.anterior else 0.0), []
    for side in _SIDES:
        path = [(20.0, 64.0 - lift), (50.0, 56.0 - lift), (88.0, 54.0 - 1.6 * lift), (132.0, 40.0 - 2 * lift)]
        collar.append(smooth([(side * x, y) for x, y in path]))
    _draw_bone(canvas, frame, body, collar, _COLLAR, 0.105 * patient.rib_density, 0.05 * patient.rib_density)


def _draw_bone(
    canvas: Canvas, frame: Frame, inside: Light, paths: list[Points], widths: list[float], middle: float, edge: float
) -> None:  # fmt: skip
    """Bones along paths, each with two dense edges; ``inside`` (H, W) says how much of them is seen."""
    edges = [stroke(_edge(path, widths, sign), 1.3) for path in paths for sign in (-1, 1)]
    for outlines, strength in (([stroke(path, widths) for path in paths], middle), (edges, edge)):
        patch = canvas.covered(*(frame.place(outline) for outline in outlines))
        canvas.add(patch.times(patch.of(inside)), strength)


def _edge(path: Points, widths: list[float], sign: int) -> Points:
    """One of the two long edges of a stroke."""
    outline = stroke(path, widths)
    return outline[: len(path)] if sign > 0 else outline[len(path) :]
