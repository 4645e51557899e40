"""Aligning faces to the same position, size and angle by their landmarks (Ruiz et al. 2019, A.3.2).

"We apply Procrustes analysis in order to find an affine transformation aligning the detected landmarks with a mean
shape. Finally, we apply the transformation to the image and crop it": this removes scale, rotation in the plane and
position. A Procrustes fit is a similarity (shift, rotation, scale), in complex numbers ``a z + b``.

Not specified in the paper; our choices: the mean shape is that of the data (generalised Procrustes analysis); in the
96 x 96 picture the longer side of its bounding box takes three quarters, and its middle lies a little below the
picture's, because landmarks reach from the brows to the chin and the forehead is part of a face; outside the picture
all is black; pictures are shrunk with an area filter before they are rotated, to avoid aliasing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from data_prep.damage import DamagedPicture
from data_prep.decode import opened

SIDE = 96
POINTS = 68

_ROUNDS = 8
_SHAPE_SHARE, _MIDDLE = 0.75, (0.5, 0.56)


def mean_shape(landmarks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Landmarks (n, 68, 2) → the target position of each in the 96 x 96 picture, (68, 2), x before y.

    Rounded to a thousandth of a pixel, so that rounding errors of a sum do not change a data set's pixels.
    """
    shapes = _centred(landmarks[..., 0] + 1j * landmarks[..., 1].astype(np.float64))
    shapes /= np.linalg.norm(shapes, axis=1, keepdims=True)
    mean = shapes.mean(axis=0)  # upright, as most faces are
    for _ in range(_ROUNDS):
        turned = shapes * (shapes.conj() @ mean)[:, None]
        mean = turned.mean(axis=0)
        mean /= np.linalg.norm(mean)
    points = np.stack([mean.real, mean.imag], axis=1)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = _SHAPE_SHARE * SIDE / (high - low).max()
    return np.asarray(np.round((points - (low + high) / 2) * scale + np.multiply(_MIDDLE, SIDE), 3))


def similarity(landmarks: NDArray[np.floating], shape: NDArray[np.float64]) -> tuple[complex, complex]:
    """``a`` and ``b`` for which ``a z + b`` maps landmarks (68, 2) closest to a shape (68, 2), as ``x + i y``."""
    here, there = _complex(landmarks), _complex(shape)
    centred = here - here.mean()
    a = np.vdot(centred, there) / np.vdot(centred, centred).real
    return complex(a), complex(there.mean() - a * here.mean())


def aligned(
    content: bytes, landmarks: NDArray[np.floating], shape: NDArray[np.float64], *, lenient: bool = False
) -> NDArray[np.uint8]:
    """A picture file → its face (3, 96, 96), with the landmarks (68, 2) aligned to ``shape``; ``DamagedPicture``.

    ``lenient`` as in ``opened``.
    """
    picture = opened(content, lenient=lenient).convert("RGB")
    a, b = similarity(landmarks, shape)
    # The corners of the result, mapped into the picture, bound the part that is needed.
    corners = np.array([(x - b) / a for x in (0, SIDE, SIDE * 1j, SIDE + SIDE * 1j)])
    left, upper = (int(max(0, np.floor(v.min()) - 1)) for v in (corners.real, corners.imag))
    right = int(min(picture.width, np.ceil(corners.real.max()) + 1))
    lower = int(min(picture.height, np.ceil(corners.imag.max()) + 1))
    if left >= right or upper >= lower:
        raise DamagedPicture(
            f"has {picture.width} x {picture.height} pixels, and its landmarks lie outside it"
        )
    width, height = right - left, lower - upper
    shrunk = (max(1, round(width * min(1, abs(a)))), max(1, round(height * min(1, abs(a)))))
    part = picture.resize(shrunk, Image.Resampling.BILINEAR, box=(left, upper, right, lower))
    # From a pixel of the result to one of the part: z = (w - b) / a, then shift and scale.
    inverse, origin = 1 / a, -b / a
    x_scale, y_scale = shrunk[0] / width, shrunk[1] / height
    coefficients = (
        inverse.real * x_scale, -inverse.imag * x_scale, (origin.real - left) * x_scale,
        inverse.imag * y_scale, inverse.real * y_scale, (origin.imag - upper) * y_scale,
    )  # fmt: skip
    face = part.transform(
        (SIDE, SIDE), Image.Transform.AFFINE, coefficients, resample=Image.Resampling.BILINEAR
    )
    return np.asarray(face).transpose(2, 0, 1)


def _complex(points: NDArray[np.floating]) -> NDArray[np.complex128]:
    return points[:, 0].astype(np.float64) + 1j * points[:, 1]


def _centred(shapes: NDArray[np.complexfloating]) -> NDArray[np.complexfloating]:
    return shapes - shapes.mean(axis=1, keepdims=True)
