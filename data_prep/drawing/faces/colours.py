"""The colours of skin, hair, eyes, cloth and make-up."""

from __future__ import annotations

import colorsys

import numpy as np

from data_prep.drawing.canvas import Light
from data_prep.drawing.curves import Number
from data_prep.drawing.faces.factors import Face

_SKIN = np.array(
    [(243, 205, 178), (232, 186, 150), (214, 160, 120), (184, 126, 88), (138, 88, 58), (94, 58, 38)],
    np.float32,
)
_PALE = np.array([242, 221, 212], np.float32)
_HAIR = (  # darkest and lightest of black, brown, blond, gray, auburn
    ((16, 14, 16), (46, 40, 42)),
    ((66, 40, 24), (122, 80, 48)),
    ((186, 142, 78), (238, 208, 150)),
    ((128, 128, 132), (206, 206, 208)),
    ((84, 36, 26), (176, 102, 64)),
)
_IRIS = ((84, 52, 28), (98, 118, 62), (86, 130, 178), (128, 140, 150))
_FRAMES = ((22, 22, 24), (88, 52, 28), (196, 160, 84), (150, 26, 36), (36, 56, 120))
_EYE_SHADOW = ((122, 78, 58), (128, 52, 108), (58, 84, 158), (54, 112, 88))
_LIPSTICK = np.array([(176, 20, 44), (206, 44, 84), (168, 52, 60), (120, 22, 58)], np.float32)


def colour(*rgb: Number) -> Light:
    """A colour (3,) from values between 0 and 255."""
    return np.array(rgb, np.float32)


def from_hue(hue: float, saturation: float, value: float) -> Light:
    """A colour (3,) from hue, saturation and value between 0 and 1."""
    return np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation, value), np.float32) * np.float32(255)


def skin(face: Face) -> Light:
    """The skin's colour in full light."""
    at = min(max(face.skin_tone, 0.0), 1.0) * (len(_SKIN) - 1)
    index = min(int(at), len(_SKIN) - 2)
    tone = _SKIN[index] + np.float32(at - index) * (_SKIN[index + 1] - _SKIN[index])
    tone = tone * np.array([1.0, 1.0 - 0.06 * face.skin_redness, 1.0 - 0.09 * face.skin_redness], np.float32)
    return (tone + np.float32(face.pallor) * (_PALE - tone)).astype(np.float32)


def hair(face: Face) -> Light:
    """The hair's colour in full light."""
    dark, light = (np.array(end, np.float32) for end in _HAIR[int(face.hair_hue)])
    return (dark + np.float32(0.5 + 0.5 * face.hair_light) * (light - dark)).astype(np.float32)


def brows(face: Face) -> Light:
    """Brows and beards: the hair's colour, darker where the hair is light."""
    return (hair(face) * np.float32(0.62) + np.float32(6)).astype(np.float32)


def iris(face: Face) -> Light:
    """The iris away from its dark rim."""
    return colour(*_IRIS[int(face.eye_hue)])


def frame(face: Face) -> Light:
    """The frame of the glasses."""
    return colour(*_FRAMES[int(face.glasses_hue)])


def eye_shadow(face: Face) -> Light:
    """Make-up of the upper lid."""
    return colour(*_EYE_SHADOW[int(face.makeup_hue)])


def lips(face: Face) -> Light:
    """Bare lips are redder skin; lipstick covers them."""
    bare = skin(face) * np.array([0.86, 0.62, 0.62], np.float32)
    at = face.lipstick_hue * (len(_LIPSTICK) - 1)
    index = min(int(at), len(_LIPSTICK) - 2)
    stick = _LIPSTICK[index] + np.float32(at - index) * (_LIPSTICK[index + 1] - _LIPSTICK[index])
    return (bare + np.float32(face.lipstick) * (stick - bare)).astype(np.float32)
