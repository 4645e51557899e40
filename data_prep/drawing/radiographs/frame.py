"""From the chest's own coordinates (x from its middle, y down, in pixels of the mean picture) to the picture's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.drawing.canvas import Light, Patch
from data_prep.drawing.curves import Number, Points, smooth
from data_prep.drawing.radiographs.factors import Chest, Exposure, Patient

LONG, SHORT = 390, 320
"""Sides of a picture; a frontal one is wide, a lateral one high."""


@dataclass(frozen=True)
class Frame:
    """The factors of one picture, and where its points come to lie."""

    patient: Patient
    chest: Chest
    exposure: Exposure
    height: int
    width: int
    turn: NDArray[np.float64]

    @staticmethod
    def of(patient: Patient, chest: Chest, exposure: Exposure) -> Frame:
        angle, scale = np.deg2rad(exposure.roll), exposure.scale
        turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        size = (LONG, SHORT) if exposure.lateral else (SHORT, LONG)
        return Frame(patient, chest, exposure, *size, turn)

    def place(self, points: Points | Sequence[tuple[Number, Number]]) -> Points:
        """Picture coordinates (n, 2)."""
        middle = np.array([self.width / 2, self.height / 2])
        shift = np.array([self.exposure.shift_x, self.exposure.shift_y])
        return (np.asarray(points, dtype=np.float64) - [0.0, self.height / 2]) @ self.turn.T + middle + shift

    def curve(self, controls: Points | Sequence[tuple[Number, Number]], *, closed: bool = False) -> Points:
        """A smooth curve through control points, in the picture."""
        return self.place(smooth(controls, closed=closed))

    def coordinates(self, patch: Patch) -> tuple[Light, Light]:
        """The chest's own (x, y), each (h, w), of the pixels of a patch."""
        columns = (
            np.arange(patch.columns.start, patch.columns.stop) + 0.5 - self.width / 2 - self.exposure.shift_x
        )
        rows = np.arange(patch.rows.start, patch.rows.stop) + 0.5 - self.height / 2 - self.exposure.shift_y
        back = np.linalg.inv(self.turn).astype(np.float32)
        across, down = columns.astype(np.float32), rows.astype(np.float32)[:, None]
        return back[0, 0] * across + back[0, 1] * down, back[1, 0] * across + back[1, 1] * down + np.float32(
            self.height / 2
        )

    @property
    def half(self) -> float:
        """Half the inner width of the chest."""
        return self.patient.thorax_width

    def dome(self, side: int) -> float:
        """Height y of the diaphragm's dome on a side; lost lung lets it rise."""
        chest = self.chest
        base = (
            226.0
            + (8.0 if side > 0 else 0.0)
            + 11.0 * chest.inspiration
            + 70 * (self.patient.thorax_length - 1)
        )
        lost = 20.0 * chest.atelectasis if chest.atelectasis_side == side else 0.0
        return base - lost - (10.0 if self.exposure.anterior else 0.0)
