"""The numbers that a face is drawn from, given its labels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from data_prep.drawing.curves import Number
from data_prep.drawing.faces.labels import HAIR_COLOURS, beard_of, normal_share


@dataclass(frozen=True, kw_only=True, slots=True)
class Face:
    """A portrait's factors. Lengths are in pixels of the 178 x 218 picture, strengths between 0 and 1."""

    light_x: float
    """where the light comes from: -1 left, 1 right"""
    light_y: float
    """-1 above, 1 below"""
    ambient: float
    """share of the light that comes from everywhere"""
    warmth: float
    """colour of the light: -1 blue, 1 orange"""
    exposure: float
    contrast: float
    blur: float
    """deviation of the lens' blur"""
    noise: float
    """deviation of the sensor's noise, in grey values"""
    jpeg_quality: float
    backdrop_hue: float
    backdrop_saturation: float
    backdrop_value: float
    backdrop_texture: float
    roll: float
    """degrees that the head leans to its left shoulder"""
    yaw: float
    """how far it looks to the right: 1 is about twenty degrees"""
    scale: float
    shift_x: float
    shift_y: float
    skin_tone: float
    """0 light to 1 dark"""
    skin_redness: float
    pallor: float
    """0 unless Pale_Skin"""
    face_width: float
    face_length: float
    jaw: float
    """half the width of the jaw over that of the cheeks"""
    chin: float
    """half the width of the chin"""
    fullness: float
    """fat of cheeks and chin; large with Chubby"""
    wrinkles: float
    """0.2 or less with Young"""
    eye_size: float
    eye_opening: float
    eye_hue: float
    """0 brown, 1 green, 2 blue, 3 grey"""
    gaze: float
    bags: float
    """strength of the bags under the eyes"""
    brow_height: float
    brow_thickness: float
    brow_arch: float
    brow_slope: float
    nose_width: float
    nose_length: float
    lip_fullness: float
    mouth_width: float
    smile: float
    """how far the corners of the mouth are up and apart: 0 neutral, 1 a broad laugh"""
    mouth_opening: float
    blush: float
    makeup: float
    """strength of eye shadow, liner, rouge and lipstick"""
    makeup_hue: float
    """0 brown, 1 plum, 2 blue, 3 green"""
    lipstick: float
    lipstick_hue: float
    beard: float
    """index into BEARDS"""
    beard_strength: float
    hair_hue: float
    """0 black, 1 brown, 2 blond, 3 gray, 4 none of these (auburn)"""
    hair_light: float
    """-1 the darkest, 1 the lightest of its colour"""
    hair_length: float
    """0 cropped, 1 short, 2 to the chin, 3 to the shoulders, 4 longer, 5 tied up"""
    hair_volume: float
    parting: float
    """where the hair is parted: -1 left to 1 right"""
    wave: float
    """0 straight, otherwise how far the waves go"""
    wave_length: float
    wave_phase: float
    bangs: float
    """0 none, otherwise how far they come down"""
    bangs_sweep: float
    hairline: float
    """how far it is receding"""
    baldness: float
    glasses: float
    """0 none, 1 round, 2 square, 3 oval, 4 half-rimmed, 5 sunglasses"""
    glasses_size: float
    glasses_thickness: float
    glasses_hue: float
    """0 black, 1 brown, 2 gold, 3 red, 4 blue"""
    hat: float
    """0 none, 1 cap, 2 knitted, 3 brimmed"""
    hat_hue: float
    earrings: float
    necklace: float
    build: float
    """half the width of the neck"""
    necktie: float
    """0 none, 1 plain, 2 striped, 3 dotted"""
    tie_hue: float
    clothes: float
    """0 round collar, 1 V, 2 shirt, 3 bare shoulders"""
    clothes_hue: float
    clothes_saturation: float
    clothes_value: float


FACTORS = tuple(field.name for field in fields(Face))


def sample_face(labels: Mapping[str, bool], ancestry: float, chance: np.random.Generator) -> Face:
    """Factors for a person with these labels; ``ancestry`` is standard normal, high where skin is light.

    The same numbers are drawn whatever the labels are, so that the same generator and labels that differ in one give
    two pictures of one person that differ in what this label names.
    """
    is_set = dict(labels)
    male, madeup = is_set["Male"], is_set["Heavy_Makeup"]

    def either(name: str, on: tuple[float, float], off: tuple[float, float]) -> float:
        low, high = on if is_set[name] else off
        return low + (high - low) * chance.random()

    def between(low: Number, high: Number) -> float:
        return low + (high - low) * chance.random()

    def around(mean: Number, deviation: Number, limit: Number = 2.2) -> float:
        return mean + deviation * min(max(float(chance.standard_normal()), -limit), limit)

    def one_of(*weights: float) -> float:
        return float(np.searchsorted(np.cumsum(weights[:-1]), chance.random() * sum(weights), side="right"))

    beard = beard_of(labels)
    colour = next((i for i, name in enumerate(HAIR_COLOURS) if is_set[name]), len(HAIR_COLOURS))
    short, long = one_of(0.3, 0.62, 0.06, 0.02, 0.0, 0.0), one_of(0.0, 0.05, 0.17, 0.33, 0.3, 0.15)
    plain, dressed = one_of(0.45, 0.3, 0.25, 0.0), one_of(0.3, 0.3, 0.1, 0.3)
    kind_of_glasses, kind_of_hat, kind_of_tie = (
        1 + one_of(0.2, 0.3, 0.18, 0.14, 0.18),
        1 + one_of(0.4, 0.3, 0.3),
        1 + one_of(0.5, 0.35, 0.15),
    )
    hairline, baldness = between(0.55, 1.0), between(0.5, 1.0)
    earrings, necklace = between(0.5, 1), between(0.5, 1)
    bangs, wave = between(0.55, 1.0), between(0.55, 1.0)
    rouge, lips, bare_lips = between(0.65, 1.0), between(0.7, 1.0), between(0.0, 0.45)
    laugh, calm, opening = between(0.45, 1.0), around(0.02, 0.08), chance.random()
    hair_light = around(0.0, 0.45) + (0.2 * ancestry if colour == len(HAIR_COLOURS) else 0.0)
    return Face(
        light_x=around(0.0, 0.45), light_y=between(-0.75, -0.15), ambient=between(0.42, 0.68),
        warmth=around(0.1, 0.4), exposure=around(1.0, 0.1), contrast=around(1.0, 0.08),
        blur=max(0.0, around(0.35, 0.3)), noise=between(0.8, 4.5), jpeg_quality=float(round(between(72, 95))),
        backdrop_hue=chance.random(), backdrop_saturation=between(0.0, 0.6), backdrop_value=between(0.12, 0.97),
        backdrop_texture=between(0.1, 1.0),
        roll=around(0.0, 2.0), yaw=around(0.0, 0.55), scale=around(1.0, 0.032), shift_x=around(0.0, 1.2),
        shift_y=around(0.0, 1.2),
        skin_tone=normal_share(-ancestry) ** 2.0, skin_redness=chance.random(),
        pallor=either("Pale_Skin", (0.75, 1.0), (0.0, 0.0)),
        face_width=around(43.0 if male else 41.5, 1.3), face_length=around(70.0 if male else 67.5, 2.2),
        jaw=around(0.87 if male else 0.80, 0.025), chin=around(13.5 if male else 9.5, 1.2),
        fullness=either("Chubby", (0.85, 1.25), (0.0, 0.16)),
        wrinkles=either("Young", (0.0, 0.12), (0.75, 1.15)),
        eye_size=around(9.4 if male else 10.0, 0.5), eye_opening=around(0.36 if male else 0.41, 0.05),
        eye_hue=one_of(0.6, 0.12, 0.2, 0.08), gaze=around(0.0, 0.5),
        bags=either("Bags_Under_Eyes", (0.65, 1.0), (0.0, 0.1)),
        brow_height=around(12.5 if male else 14.0, 1.1),
        brow_thickness=either("Bushy_Eyebrows", (5.6, 7.4), (2.0, 3.2)) + (0.5 if male else 0.0),
        brow_arch=either("Arched_Eyebrows", (6.5, 9.5), (0.0, 1.6)), brow_slope=around(0.3, 0.8),
        nose_width=around(8.8 if male else 7.6, 0.8), nose_length=around(28.0, 1.6),
        lip_fullness=around(0.9 if male else 1.12, 0.16), mouth_width=around(15.8 if male else 14.8, 0.9),
        smile=laugh if is_set["Smiling"] else calm,
        mouth_opening=(max(0.0, opening - 0.2) if is_set["Smiling"] else max(0.0, opening - 0.72)),
        blush=chance.random() ** 3 * (0.7 if not male else 0.4), makeup=rouge if madeup else 0.0,
        makeup_hue=one_of(0.4, 0.25, 0.2, 0.15),
        lipstick=lips if madeup else 0.0 if male else bare_lips, lipstick_hue=chance.random(),
        beard=float(beard), beard_strength=between(0.6, 1.0),
        hair_hue=float(colour), hair_light=min(max(hair_light, -1.0), 1.0), hair_length=short if male else long,
        hair_volume=around(0.5, 0.3, 1.6), parting=around(0.0, 0.45),
        wave=wave if is_set["Wavy_Hair"] else 0.0, wave_length=between(15, 25), wave_phase=between(0, 6.28),
        bangs=bangs if is_set["Bangs"] else 0.0, bangs_sweep=between(-1, 1),
        hairline=hairline if is_set["Receding_Hairline"] else 0.0, baldness=baldness if is_set["Bald"] else 0.0,
        glasses=kind_of_glasses if is_set["Eyeglasses"] else 0.0, glasses_size=between(0.9, 1.15),
        glasses_thickness=between(1.3, 3.2), glasses_hue=one_of(0.5, 0.2, 0.12, 0.1, 0.08),
        hat=kind_of_hat if is_set["Wearing_Hat"] else 0.0, hat_hue=chance.random(),
        earrings=earrings if is_set["Wearing_Earrings"] else 0.0,
        necklace=necklace if is_set["Wearing_Necklace"] else 0.0,
        build=around(27.0 if male else 20.5, 1.2),
        necktie=kind_of_tie if is_set["Wearing_Necktie"] else 0.0, tie_hue=chance.random(),
        clothes=plain if male else dressed, clothes_hue=chance.random(), clothes_saturation=between(0.05, 0.85),
        clothes_value=between(0.12, 0.95),
    )  # fmt: skip


def with_visible(labels: Mapping[str, bool], face: Face) -> dict[str, bool]:
    """The attributes completed by those that are read off the drawing, with thresholds near CelebA's frequencies."""
    return dict(labels) | {
        "Big_Lips": face.lip_fullness > 1.17,
        "Big_Nose": face.nose_width > 8.9,
        "Blurry": face.blur > 0.84,
        "Double_Chin": face.fullness > 0.75,
        "High_Cheekbones": face.smile > 0.47,
        "Mouth_Slightly_Open": face.mouth_opening > 0.05,
        "Narrow_Eyes": face.eye_opening < 0.325,
        "Oval_Face": face.jaw < 0.80 and face.fullness < 0.5,
        "Pointy_Nose": face.nose_width < 7.5,
        "Rosy_Cheeks": face.blush > 0.46,
        "Wearing_Lipstick": face.lipstick > 0.26,
    }
