"""A face's factors, drawn and photographed: uint8 (218, 178, 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from data_prep.drawing.canvas import Canvas, Light
from data_prep.drawing.faces import colours
from data_prep.drawing.faces.accessories import draw_glasses, draw_hat, draw_jewellery
from data_prep.drawing.faces.age import draw_age
from data_prep.drawing.faces.beard import draw_beard
from data_prep.drawing.faces.clothes import draw_clothes
from data_prep.drawing.faces.eyes import draw_brows, draw_eyes
from data_prep.drawing.faces.factors import Face, sample_face, with_visible
from data_prep.drawing.faces.hair import draw_hair, draw_hair_behind
from data_prep.drawing.faces.head import draw_ears, draw_head, draw_neck
from data_prep.drawing.faces.labels import sample_labels
from data_prep.drawing.faces.mouth import draw_mouth, draw_nose
from data_prep.drawing.faces.pose import HEIGHT, WIDTH, Pose

_STRANDS = 420


@dataclass(frozen=True, slots=True)
class Textures:
    """The random parts of a picture that are not factors: grain, strands, the background's shapes, the sensor's noise."""

    streaks: Light
    """(strands,): along the hair, around 0"""
    jags: Light
    """(34,): ends of bangs"""
    grain: Light
    """(218, 178): skin and stubble, deviation 1"""
    backdrop: Light
    """(7, 6, 3): coarse background, 0 to 1"""
    noise: Light
    """(218, 178, 1): the sensor's, deviation 1"""

    @staticmethod
    def sample(chance: np.random.Generator) -> Textures:
        fine, coarse = (
            chance.standard_normal(_STRANDS, np.float32),
            chance.standard_normal(_STRANDS // 6, np.float32),
        )
        streaks = 0.75 * fine + 0.9 * np.interp(
            np.linspace(0, 1, _STRANDS), np.linspace(0, 1, len(coarse)), coarse
        )
        return Textures(
            streaks=np.clip(streaks, -2, 2).astype(np.float32),
            jags=np.clip(chance.standard_normal(34, np.float32), -1.6, 1.6),
            grain=chance.standard_normal((HEIGHT, WIDTH), np.float32),
            backdrop=chance.random((7, 6, 3), np.float32),
            noise=chance.standard_normal((HEIGHT, WIDTH, 1), np.float32),
        )


@dataclass(frozen=True, slots=True)
class Portrait:
    """One person of a drawn data set before the drawing."""

    labels: dict[str, bool]
    """all forty attributes"""
    face: Face
    textures: Textures


def portrait(seed: int, index: int, labels: Mapping[str, bool] | None = None) -> Portrait:
    """Person number ``index`` of the data set with this seed, or the same person with other ``labels``.

    Depends on (seed, index) and the labels alone.
    """
    shown, face = person(seed, index, labels)
    return Portrait(shown, face, Textures.sample(np.random.default_rng([seed, index, 2])))


def person(seed: int, index: int, labels: Mapping[str, bool] | None = None) -> tuple[dict[str, bool], Face]:
    """The labels and factors of a portrait."""
    chance = np.random.default_rng([seed, index, 0])
    ancestry = float(chance.standard_normal())
    causes = sample_labels(ancestry, chance) if labels is None else dict(labels)
    face = sample_face(causes, ancestry, np.random.default_rng([seed, index, 1]))
    return with_visible(causes, face), face


def draw(shot: Portrait) -> NDArray[np.uint8]:
    """The photograph, uint8 (218, 178, 3)."""
    return photograph(paint(shot), shot)


def paint(shot: Portrait) -> Light:
    """The scene before the camera: float32 (218, 178, 3), 0 to 255."""
    face, textures = shot.face, shot.textures
    canvas, pose = Canvas(_backdrop(face, textures.backdrop)), Pose.of(face)
    draw_hair_behind(canvas, pose, textures.streaks)
    draw_neck(canvas, pose)
    draw_clothes(canvas, pose)
    draw_ears(canvas, pose)
    draw_head(canvas, pose, textures.grain)
    draw_age(canvas, pose)
    draw_eyes(canvas, pose)
    draw_nose(canvas, pose)
    draw_mouth(canvas, pose)
    draw_beard(canvas, pose, textures.grain)
    draw_brows(canvas, pose)
    draw_hair(canvas, pose, textures.streaks, textures.jags)
    draw_jewellery(canvas, pose)
    draw_glasses(canvas, pose)
    draw_hat(canvas, pose)
    return canvas.pixels


def photograph(scene: Light, shot: Portrait) -> NDArray[np.uint8]:
    """Lens, exposure, white balance and noise: uint8 (218, 178, 3)."""
    face = shot.face
    gain = face.exposure * np.array([1 + 0.07 * face.warmth, 1.0, 1 - 0.09 * face.warmth])
    pixels = (scene - 118) * np.float32(face.contrast) + 118
    pixels *= gain.astype(np.float32)
    pixels += np.float32(face.noise) * shot.textures.noise
    sharp = np.clip(pixels, 0, 255, out=pixels).astype(np.uint8)
    if face.blur < 0.15:
        return sharp
    return np.asarray(Image.fromarray(sharp).filter(ImageFilter.GaussianBlur(face.blur)))


def _backdrop(face: Face, coarse: Light) -> Light:
    """A background out of focus: one colour, and soft patches of its neighbours."""
    base = colours.from_hue(face.backdrop_hue, face.backdrop_saturation, face.backdrop_value)
    half, strength = np.float32(0.5), np.float32(face.backdrop_texture)
    grey = coarse[..., :1] - half
    patches = base * (1 + strength * (np.float32(0.75) * grey + np.float32(0.3) * (coarse - half)))
    patches = patches + np.float32(40) * strength * grey
    small = Image.fromarray(np.clip(patches, 0, 255).astype(np.uint8))
    return np.asarray(small.resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), dtype=np.float32).copy()
