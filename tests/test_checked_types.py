"""Types and shapes are checked at each call in tests, of functions and of dataclasses."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from jaxtyping import TypeCheckError

from pipeline.models.parts.characteristic_vae import sample
from pipeline.tracking.settings import TrackingSettings


def test_a_wrong_type_or_shape_is_refused_at_the_first_call_and_at_later_ones() -> None:
    scale: Any = torch.ones(2, 4)
    for _ in range(2):
        with pytest.raises(TypeCheckError, match="scale"):
            sample(torch.zeros(2, 3), scale, 5)
        assert sample(torch.zeros(2, 4), scale, 5).shape == (5, 2, 4)
    number: Any = 3
    with pytest.raises(TypeCheckError, match="experiment"):
        TrackingSettings(experiment=number)
