from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from pipeline.measures.diversity import Diversity, mask_of, variance_in_region
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_a_mask_is_the_inside_of_a_region() -> None:
    mask = mask_of(torch.tensor([[1, 0, 3, 2], [2, 2, 2, 3]]), 3, 4)
    assert mask[0].int().tolist() == [[0, 1, 1, 0], [0, 1, 1, 0], [0, 0, 0, 0]]
    assert not mask[1].any()


def test_share_of_the_variance_by_hand() -> None:
    inside = mask_of(torch.tensor([[0, 0, 1, 2]] * 3), 2, 2)
    variance = torch.tensor([[[3.0, 1], [0, 0]], [[0, 1], [1, 0]], [[0, 0], [0, 0]]])
    share, area = variance_in_region(variance, inside)
    assert share == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert area == 0.5
    assert variance_in_region(torch.ones(3, 2, 2), inside) == (0.5, 0.5)  # chance
    assert np.isnan(variance_in_region(torch.zeros(3, 2, 2), inside)[0])


class Painter(AllAble):
    """Draws of label 0 differ in the upper left quarter, of others everywhere; of the last one they do not."""

    def intervene(self, image, label, values, draws=1, labels=None):
        self.values = [*getattr(self, "values", []), values]
        made = torch.zeros(draws, *image.shape)
        end = {0: 32, 3: 0}.get(label, 64)
        made[:, :, :, :end, :end] = torch.linspace(0, 0.1, draws)[:, None, None, None, None]
        return made


def test_draws_are_compared_pixel_by_pixel(examples) -> None:
    model = Painter()
    found = Diversity(images=5, draws=4)(ModelView(model, examples))
    deviation = np.linspace(0, 25.5, 4).std(ddof=1)
    assert found.arrays["label_diversity"] == pytest.approx(deviation**2 * np.array([1 / 4, 1, 1, 0]))
    assert found.numbers == {"diversity": pytest.approx(deviation**2 * 9 / 16)}
    known = examples.observed[:5, 1]
    assert model.values[1][known].tolist() == examples.labels[:5, 1][known].tolist()
    grid = found.arrays["diversity.images"]
    assert grid.shape == (4, 4, 3, 64, 64)
    assert grid[0, 1, 0, 0, 0] == 255
    assert not grid[0, 1, 0, 32:].any()


def test_variance_is_compared_with_the_known_regions(examples, monkeypatch) -> None:
    regions = np.zeros((41, 4, 4), dtype=np.int16)
    regions[:, :2] = (0, 0, 32, 64)
    monkeypatch.setattr(examples.data, "manifest", replace(examples.data.manifest, regions=True))
    monkeypatch.setattr(type(examples.data), "column", lambda self, split, name: regions)
    found = Diversity(images=5, draws=4)(ModelView(Painter(), examples))
    assert found.arrays["label_variance_in_region"][:3] == pytest.approx([1, 0.5, 0])
    assert np.isnan(found.arrays["label_variance_in_region"][3])
    assert found.numbers["variance_in_region"] == pytest.approx(0.5)
    assert found.numbers["region_area"] == 0.25
