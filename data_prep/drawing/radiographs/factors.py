"""The numbers that a chest radiograph is drawn from: the patient's, the study's and the exposure's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from data_prep.drawing.curves import Number


@dataclass(frozen=True, kw_only=True, slots=True)
class Patient:
    """What stays the same from study to study. Lengths are in pixels of the frontal picture."""

    male: float
    age: float
    """years"""
    thorax_width: float
    """half the inner width of the chest"""
    thorax_length: float
    """1 is the mean"""
    fat: float
    """0 thin to 1 obese"""
    breasts: float
    rib_slope: float
    rib_density: float
    heart_tilt: float
    """how far the apex points to the left"""
    aorta: float
    """size of the aortic knob"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Chest:
    """What a study shows; severities are 0 where the finding is absent. Side: -1 the patient's right, 1 the left."""

    heart_ratio: float
    """width of the heart over that of the chest; above 0.5 with Cardiomegaly"""
    edema: float
    consolidation: float
    consolidation_side: float
    consolidation_zone: float
    """0 upper, 1 middle, 2 lower"""
    consolidation_size: float
    atelectasis: float
    atelectasis_side: float
    atelectasis_bands: float
    effusion: float
    """level of the fluid"""
    effusion_side: float
    """0: both"""
    lesion: float
    lesion_x: float
    lesion_y: float
    devices: float
    """0 none, 1 wires, 2 wires and a pacemaker, 3 wires and a tube"""
    inspiration: float
    """-1 the diaphragm is high, 1 it is low"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Exposure:
    """How the picture was taken."""

    lateral: float
    anterior: float
    """1: AP, lying or sitting; 0: PA, standing"""
    brightness: float
    contrast: float
    blur: float
    noise: float
    """deviation, in grey values"""
    roll: float
    """degrees"""
    turn: float
    """how far the patient is turned: moves the spine against the chest's middle"""
    scale: float
    shift_x: float
    shift_y: float
    collimation: float
    """width of the black edges"""
    marker: float
    """0 L, 1 R, 2 L and PORTABLE, 3 none"""
    jpeg_quality: float


FACTORS = tuple(field.name for part in (Patient, Chest, Exposure) for field in fields(part))


def sample_patient(chance: np.random.Generator) -> Patient:
    """A random patient."""
    male = float(chance.random() < 0.55)
    return Patient(
        male=male, age=float(round(_around(chance, 61, 16, 18, 90))),
        thorax_width=_around(chance, 134 if male else 128, 5, 116, 146), thorax_length=_around(chance, 1.0, 0.04, 0.9, 1.1),
        fat=_around(chance, 0.45, 0.25, 0.0, 1.0), breasts=0.0 if male else _around(chance, 0.6, 0.25, 0.15, 1.0),
        rib_slope=_around(chance, 0.0, 0.5, -1, 1), rib_density=_around(chance, 1.0, 0.2, 0.5, 1.5),
        heart_tilt=_around(chance, 0.0, 0.5, -1, 1), aorta=_around(chance, 0.5, 0.3, 0.0, 1.2),
    )  # fmt: skip


def sample_chest(found: Mapping[str, bool], chance: np.random.Generator) -> Chest:
    """What a study with these findings shows; the same numbers are drawn whatever the findings are."""
    large, normal = chance.uniform(0.56, 0.70), _around(chance, 0.445, 0.022, 0.38, 0.485)
    severity = chance.uniform(0.5, 1.0, 5).tolist()
    sides = np.where(chance.random(3) < (0.55, 0.5, 0.4), -1.0, 1.0).tolist()
    both, zone = chance.random() < 0.4, float(np.searchsorted((0.25, 0.5), chance.random()))
    size, bands = chance.uniform(0.75, 1.2), float(1 + np.searchsorted((0.4, 0.8), chance.random()))
    lesion, x, y = (
        chance.uniform(0.4, 1.0),
        chance.uniform(45, 105) * (1 if chance.random() < 0.5 else -1),
        chance.uniform(75, 190),
    )
    kind_of_device = float(1 + np.searchsorted((0.5, 0.75), chance.random()))
    return Chest(
        heart_ratio=large if found["Cardiomegaly"] else normal,
        edema=severity[0] if found["Edema"] else 0.0,
        consolidation=severity[1] if found["Consolidation"] else 0.0, consolidation_side=sides[0], consolidation_zone=zone,
        consolidation_size=size,
        atelectasis=severity[2] if found["Atelectasis"] else 0.0, atelectasis_side=sides[1], atelectasis_bands=bands,
        effusion=severity[3] if found["Pleural Effusion"] else 0.0, effusion_side=0.0 if both else sides[2],
        lesion=lesion if found["Lung Lesion"] else 0.0, lesion_x=x, lesion_y=y,
        devices=kind_of_device if found["Support Devices"] else 0.0, inspiration=_around(chance, 0.0, 0.45, -1, 1),
    )  # fmt: skip


def sample_exposure(lateral: bool, chance: np.random.Generator) -> Exposure:
    """How a picture of a study was taken."""
    anterior = float(chance.random() < 0.7 and not lateral)
    return Exposure(
        lateral=float(lateral), anterior=anterior, brightness=_around(chance, 0.0, 0.06, -0.14, 0.14),
        contrast=_around(chance, 1.0, 0.12, 0.7, 1.35), blur=_around(chance, 0.5, 0.3, 0.0, 1.3),
        noise=_around(chance, 3.5, 1.5, 1.0, 8.0), roll=_around(chance, 0.0, 2.0, -5, 5),
        turn=_around(chance, 0.0, 4.0, -9, 9), scale=_around(chance, 1.0, 0.04, 0.9, 1.1),
        shift_x=_around(chance, 0.0, 6.0, -14, 14), shift_y=_around(chance, 0.0, 5.0, -12, 12),
        collimation=max(0.0, _around(chance, -2.0, 6.0, -20, 14)),
        marker=float(np.searchsorted((0.4, 0.6, 0.85), chance.random())),
        jpeg_quality=float(round(chance.uniform(70, 92))),
    )  # fmt: skip


def _around(chance: np.random.Generator, mean: Number, deviation: Number, low: Number, high: Number) -> float:
    return float(min(max(mean + deviation * float(chance.standard_normal()), low), high))
