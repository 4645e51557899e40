"""Smooth outlines from a few control points, and strokes whose width changes along the way."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

Number = int | float
Points = NDArray[np.float64]
"""(n, 2): x to the right and y down, in pixels; a pixel covers [i, i + 1)."""

_STEPS = 6


def smooth(controls: Sequence[tuple[Number, Number]] | Points, *, closed: bool = False) -> Points:
    """A Catmull-Rom curve (m, 2) through control points (n, 2), six points per piece."""
    points = np.asarray(controls, dtype=np.float64)
    return _basis(len(points), closed) @ points


def mirrored(
    right: Sequence[tuple[Number, Number]], left: Sequence[tuple[Number, Number]] | None = None
) -> Points:
    """A complete symmetric outline from its right half, listed from top to bottom around x = 0.

    The left half is the right one mirrored unless its own points are given, with x counted to the left. Points at
    x = 0 are taken from the right half.
    """
    other = [(-x, y) for x, y in (right if left is None else left) if x]
    return np.asarray([*other[::-1], *right], dtype=np.float64)


def shifted(outline: Points, x: Number, y: Number) -> Points:
    """The same outline (n, 2) elsewhere."""
    return outline + np.array([x, y])


def stroke(path: Points, widths: Sequence[Number] | Number) -> Points:
    """The outline (2 n, 2) of a line along ``path`` (n, 2); ``widths`` are spread evenly along it, in pixels."""
    offset = _normals(path)
    if isinstance(widths, float | int):
        offset *= 0.5 * widths
    else:
        at = np.arange(len(path)) * ((len(widths) - 1) / (len(path) - 1))
        offset *= (0.5 * np.interp(at, np.arange(len(widths)), widths))[:, None]
    return np.concatenate([path + offset, (path - offset)[::-1]])


def ellipse(x: Number, y: Number, rx: Number, ry: Number, points: int = 24) -> Points:
    """The outline (points, 2) of an upright ellipse."""
    return np.array([x, y]) + _circle(points) * np.array([rx, ry])


def rippled(
    path: Points, amplitude: Number, wavelength: Number, phase: Number, above: Number = -np.inf
) -> Points:
    """``path`` displaced back and forth along its normal; points above y = ``above`` stay where they are."""
    step = np.diff(path, axis=0, prepend=path[:1])
    along = np.cumsum(np.hypot(step[:, 0], step[:, 1]))
    push = amplitude * np.sin(2 * np.pi * along / wavelength + phase)
    if above > -np.inf:
        push *= np.clip((path[:, 1] - above) / 20.0, 0, 1)
    return path + _normals(path) * push[:, None]


def _normals(path: Points) -> Points:
    """Unit vectors (n, 2) across a path (n, 2)."""
    along = np.empty_like(path)
    along[0], along[-1] = path[1] - path[0], path[-1] - path[-2]
    np.subtract(path[2:], path[:-2], out=along[1:-1])
    length = np.sqrt(along[:, 0] ** 2 + along[:, 1] ** 2) + 1e-9
    normals = np.empty_like(path)
    np.divide(-along[:, 1], length, out=normals[:, 0])
    np.divide(along[:, 0], length, out=normals[:, 1])
    return normals


@cache
def _circle(points: int) -> Points:
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@cache
def _basis(n: int, closed: bool) -> NDArray[np.float64]:
    """The matrix that takes n control points to the points of their Catmull-Rom curve."""
    t = np.linspace(0, 1, _STEPS, endpoint=False)
    weights = 0.5 * np.stack(
        [-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3], axis=1
    )
    pieces = n if closed else n - 1
    basis = np.zeros((pieces * _STEPS + (0 if closed else 1), n))
    for piece in range(pieces):
        rows = basis[piece * _STEPS : (piece + 1) * _STEPS]
        for offset in range(4):
            control = piece + offset - 1
            rows[:, control % n if closed else min(max(control, 0), n - 1)] += weights[:, offset]
    if not closed:
        basis[-1, -1] = 1
    return basis
