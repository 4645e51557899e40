"""Keypoints of two pictures that match: SIFT (Lowe 2004) with the ratio test."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float, UInt8

from pipeline.measures.optional import optional_package

Described = tuple[Any, Float[np.ndarray, "_ 128"] | None]
"""OpenCV's keypoints of a picture, and their descriptors; None if there are none."""


def described(picture: UInt8[np.ndarray, "channel height width"], enlarge: int) -> Described:
    """The SIFT keypoints of a picture, grey and enlarged (bicubic): small pictures have hardly any as they are."""
    cv2 = optional_package("cv2", extra="ffcv")
    grey = cv2.cvtColor(picture.transpose(1, 2, 0), cv2.COLOR_RGB2GRAY) if len(picture) == 3 else picture[0]
    large = cv2.resize(grey, None, fx=enlarge, fy=enlarge, interpolation=cv2.INTER_CUBIC)
    found: Described = cv2.SIFT_create().detectAndCompute(large, None)
    return found


def match_confidences(first: Described, second: Described, ratio: float) -> Float[np.ndarray, " match"]:
    """Of every match, ``1 - d_1 / d_2``: how much nearer the nearest keypoint of the second picture is than the next one.

    A keypoint matches if this ratio of distances is below ``ratio``; one whose two nearest are both at distance 0 does not.
    """
    descriptors, others = first[1], second[1]
    if descriptors is None or others is None or len(others) < 2:
        return np.empty(0)
    cv2 = optional_package("cv2", extra="ffcv")
    pairs = cv2.BFMatcher().knnMatch(descriptors, others, k=2)
    near, next_one = (np.array([pair[place].distance for pair in pairs], dtype=float) for place in (0, 1))
    matches = near < ratio * next_one
    return np.asarray(1 - near[matches] / next_one[matches])
