"""Shapes: areas accurate to a fraction of a pixel, blurs that preserve them, and curves through their points."""

from __future__ import annotations

import numpy as np
import pytest

from data_prep.drawing.canvas import Canvas
from data_prep.drawing.curves import ellipse, mirrored, smooth, stroke


def blank() -> Canvas:
    return Canvas(np.zeros((60, 80, 3), np.float32))


@pytest.mark.parametrize("soften", [0.0, 0.7, 1.5, 3.0])
def test_a_shape_covers_its_area_at_any_softness(soften: float) -> None:
    patch = blank().covered(ellipse(40.3, 30.6, 14.2, 9.4, 60), soften=soften)
    assert patch.alpha.sum() == pytest.approx(
        np.pi * 14.2 * 9.4, rel=0.035
    )  # Pillow fills edge pixels completely
    rows, columns = np.indices(patch.alpha.shape) + 0.5
    weight = patch.alpha / patch.alpha.sum()
    assert (columns * weight).sum() + patch.columns.start == pytest.approx(40.3, abs=0.15)
    assert (rows * weight).sum() + patch.rows.start == pytest.approx(30.6, abs=0.15)


def test_edges_are_anti_aliased() -> None:
    square = np.array([(10.5, 10.0), (20.5, 10.0), (20.5, 20.0), (10.5, 20.0)])
    patch = blank().covered(square)
    row = patch.alpha[5]
    assert row[10 - patch.columns.start] == pytest.approx(0.5, abs=0.26)
    assert row[20 - patch.columns.start] == pytest.approx(0.5, abs=0.26)
    assert (row == 1).sum() == 9


@pytest.mark.parametrize("soften", [0.0, 3.0])
@pytest.mark.parametrize("centre", [(-3.0, 30.0), (82.0, -4.0), (200.0, 200.0)])
def test_a_shape_that_leaves_the_picture_is_cut_off(centre: tuple[float, float], soften: float) -> None:
    canvas = blank()
    canvas.paint(canvas.covered(ellipse(*centre, 9.0, 9.0), soften=soften), (255.0, 0.0, 0.0))
    canvas.shade(canvas.spot(*centre, 5.0, 5.0), 0.5)
    assert np.isfinite(canvas.pixels).all()


def test_within_another_patch_only_what_both_cover_is_covered() -> None:
    canvas = blank()
    left = canvas.covered(np.array([(10.0, 10.0), (30.0, 10.0), (30.0, 40.0), (10.0, 40.0)]))
    both = canvas.covered(np.array([(20.0, 20.0), (60.0, 20.0), (60.0, 50.0), (20.0, 50.0)]), within=left)
    assert both.alpha.sum() == pytest.approx(10 * 20, rel=0.05)


def test_curves_pass_through_their_points_and_strokes_have_their_widths() -> None:
    controls = [(0.0, 0.0), (10.0, 5.0), (20.0, -3.0)]
    curve = smooth(controls)
    for point in controls:
        assert np.abs(curve - point).sum(axis=1).min() < 1e-9
    line = stroke(np.array([(10.0, 30.0), (40.0, 30.0), (70.0, 30.0)]), [2.0, 6.0])
    assert blank().covered(line).alpha.sum() == pytest.approx(60 * 4.0, rel=0.07)


def test_an_outline_is_mirrored_around_its_own_middle() -> None:
    outline = mirrored([(0.0, 0.0), (5.0, 2.0), (3.0, 9.0)])
    assert outline.tolist() == [[-3, 9], [-5, 2], [0, 0], [5, 2], [3, 9]]
