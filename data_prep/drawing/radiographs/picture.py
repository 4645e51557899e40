"""A radiograph's factors, drawn and exposed: uint8 (320, 390) from the front, (390, 320) from the side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.curves import ellipse, smooth, stroke
from data_prep.drawing.radiographs.anatomy import draw_body, draw_lungs, draw_middle
from data_prep.drawing.radiographs.bones_and_vessels import draw_bones, draw_vessels
from data_prep.drawing.radiographs.disease import draw_findings
from data_prep.drawing.radiographs.factors import (
    Chest,
    Exposure,
    Patient,
    sample_chest,
    sample_exposure,
    sample_patient,
)
from data_prep.drawing.radiographs.findings import sample_findings, sample_report
from data_prep.drawing.radiographs.frame import Frame
from data_prep.drawing.radiographs.lateral import draw_lateral

_MOTTLE = 26
_JITTER = 54


@dataclass(frozen=True, slots=True)
class Radiograph:
    """One picture of a drawn data set before the drawing."""

    found: dict[str, bool]
    """the truth"""
    report: dict[str, int | None]
    frame: Frame
    noise: Light
    """(H, W), deviation 1"""
    mottle: Light
    """(H, W), smooth, around 0"""
    jitter: Light
    """(54,): how vessels wander"""


def radiograph(
    seed: int, patient: int, study: int, lateral: bool, found: Mapping[str, bool] | None = None
) -> Radiograph:
    """A view of a study of a patient, or the same with other findings.

    Depends on (seed, patient, study, view) and the findings alone.
    """
    person = sample_patient(np.random.default_rng([seed, patient, 0]))
    chance = np.random.default_rng([seed, patient, study, 1])
    truth = sample_findings(chance)
    report = sample_report(truth, chance)
    shown = truth if found is None else dict(found)
    chest = sample_chest(shown, chance)
    chance = np.random.default_rng([seed, patient, study, 2 + lateral])
    frame = Frame.of(person, chest, sample_exposure(lateral, chance))
    coarse = chance.standard_normal((_MOTTLE, _MOTTLE), np.float32)
    size = (frame.width, frame.height)
    mottle = np.asarray(Image.fromarray(coarse).resize(size, Image.Resampling.BICUBIC))
    jitter = np.clip(chance.standard_normal(_JITTER, np.float32), -2, 2)
    return Radiograph(shown, report, frame, chance.standard_normal(size[::-1], np.float32), mottle, jitter)


def factors_of(shot: Radiograph) -> tuple[Patient, Chest, Exposure]:
    """Everything a picture is drawn from, in the order of ``FACTORS``."""
    return shot.frame.patient, shot.frame.chest, shot.frame.exposure


def draw(shot: Radiograph) -> NDArray[np.uint8]:
    """The picture, uint8 (H, W)."""
    return expose(densities(shot), shot)


def densities(shot: Radiograph) -> Light:
    """What the rays passed through: float32 (H, W), 0 air to about 1.2."""
    frame = shot.frame
    canvas = Canvas(np.zeros((frame.height, frame.width), np.float32))
    if frame.exposure.lateral:
        draw_lateral(canvas, frame, shot.mottle)
    else:
        body = draw_body(canvas, frame)
        lungs = draw_lungs(canvas, frame)
        draw_middle(canvas, frame)
        draw_vessels(canvas, frame, lungs, shot.jitter)
        draw_bones(canvas, frame, lungs, body)
        draw_findings(canvas, frame, lungs, shot.mottle)
        _draw_devices(canvas, frame)
    return canvas.pixels


def expose(density: Light, shot: Radiograph) -> NDArray[np.uint8]:
    """Film curve, letters, noise and black edges: uint8 (H, W)."""
    exposure = shot.frame.exposure
    dense = np.maximum(
        (density - 0.5) * np.float32(exposure.contrast) + np.float32(0.5 + exposure.brightness), 0
    )
    grey = dense / np.sqrt(np.sqrt(1 + dense**4)) * np.float32(238)
    grey += shot.noise * np.float32(exposure.noise) * (np.float32(0.6) + np.float32(0.6) * (dense < 0.5))
    picture = Image.fromarray(np.clip(grey, 0, 255, out=grey).astype(np.uint8))
    if exposure.blur > 0.15:
        picture = picture.filter(ImageFilter.GaussianBlur(exposure.blur))
    pen = ImageDraw.Draw(picture)
    width, height = picture.size
    if exposure.marker < 3:
        right = exposure.marker == 1
        at = (16, 22) if right else (width - 34, 22)
        pen.text(at, "R" if right else "L", 235, ImageFont.load_default(20))
        if exposure.marker == 2 and exposure.anterior:
            pen.text((14, 12), "PORTABLE", 225, ImageFont.load_default(11))
    edge = round(exposure.collimation)
    if edge:
        for box in (
            (0, 0, edge, height),
            (width - edge, 0, width, height),
            (0, height - edge // 2, width, height),
        ):
            pen.rectangle(box, fill=6)
    return np.asarray(picture)


def _draw_devices(canvas: Canvas, frame: Frame) -> None:
    kind = int(frame.chest.devices)
    if not kind:
        return
    wires = [
        [(-150, 110), (-90, 128), (-40, 186), (-60, 260)],
        [(150, 96), (96, 140), (70, 200), (92, 270)],
    ]
    outlines = [frame.place(stroke(smooth(wire), 1.8)) for wire in wires]
    outlines += [frame.place(ellipse(x, y, 4.5, 4.5)) for x, y in ((-90, 128), (96, 140), (70, 200))]
    if kind == 2:
        outlines.append(frame.place(ellipse(104, 78, 19, 15)))
        outlines.append(
            frame.place(stroke(smooth([(92, 86), (60, 62), (12, 70), (-14, 120), (-6, 190), (26, 214)]), 2.4))
        )
    if kind == 3:
        outlines.append(frame.place(stroke(smooth([(2, -10), (3, 40), (2, 84)]), 3.0)))
        outlines.append(frame.place(stroke(smooth([(-8, -10), (-6, 90), (2, 200), (40, 262)]), 2.2)))
    canvas.add(canvas.covered(*outlines, soften=0.4), 0.34)
