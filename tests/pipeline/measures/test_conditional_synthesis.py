"""Latents are brightnesses: of the upper half those of labels, of the lower half the style."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from pipeline.measures.conditional_synthesis import ConditionalSynthesis
from pipeline.measures.image_grid import ImageGrid, grids_in
from tests.pipeline.measures.painted import Painted, Painter


def grids(model: Painter, world: Painted, **settings: Any) -> dict[str, ImageGrid]:
    torch.manual_seed(0)
    return grids_in(ConditionalSynthesis(**settings)(world.view(model)).arrays)


class WithoutLabels(Painter):
    """Has characteristics, but no latents of labels in particular, as systems trained with references."""

    draw: Any = None

    def characteristic_latents(self, image: Tensor, labels: Any = None) -> Tensor:
        return self.encode(image)[:, :2]


class WithReference(WithoutLabels):
    reference_characteristics = torch.tensor([0.2, 0.6])


class WithLabels(WithoutLabels):
    draw = Painter.draw


def shades(grid: ImageGrid, pixel_row: int) -> np.ndarray:
    """The brightness (row, column) of a row of pixels, in grey levels."""
    return grid.images[:, :, 0, pixel_row, 0].astype(int)


def test_columns_share_characteristics_and_rows_the_style() -> None:
    world = Painted.drawn((2, 3), 9)
    found = grids(WithLabels((2, 3)), world, images=4, draws=30, steps=3)
    first = found["conditional_synthesis"]
    assert first.images.shape == (4, 31, 1, 8, 8)
    assert first.columns[:2] == ["image", "draw 1"]
    for label in (0, 1):
        drawn = shades(first, label)[:, 1:]
        assert (drawn == drawn[0]).all()
        assert len(set(drawn[0])) > 20
    style = shades(first, 2)
    assert (np.abs(style - style[:, :1]) <= 1).all()
    # Both values of a label are drawn.
    assert set((shades(first, 0)[0, 1:] > 127).tolist()) == {True, False}


def test_characteristics_are_transferred_and_interpolated() -> None:
    world = Painted.drawn((2, 3), 9)
    found = grids(WithLabels((2, 3)), world, images=4, steps=3)
    transfer = found["characteristic_transfer"]
    above, left = shades(transfer, 0)[0, 1:], shades(transfer, 2)[1:, 0]
    assert (np.abs(shades(transfer, 0)[1:, 1:] - above) <= 1).all()
    assert (np.abs(shades(transfer, 2)[1:, 1:] - left[:, None]) <= 1).all()
    frames = found["characteristic_interpolation"]
    begin, first, middle, last, end = shades(frames, 1).T
    assert (np.abs(first - begin) <= 1).all()
    assert (np.abs(last - end) <= 1).all()
    assert (np.abs(middle - (begin + end) / 2) <= 1).all()
    assert (end == np.roll(begin, -1)).all()
    assert np.ptp(shades(frames, 2)[:, :4], axis=1).max() <= 1


class Remembers(WithoutLabels):
    codes: list[Tensor]

    def decode(self, code: Tensor) -> Tensor:
        self.codes = [*getattr(self, "codes", []), code]
        return super().decode(code)


class RemembersWithReference(Remembers, WithReference):
    pass


def test_samples_of_the_prior_share_the_style_along_rows_and_are_of_systems_with_references() -> None:
    world = Painted.drawn((2, 3), 9)
    assert "prior_samples" not in grids(WithLabels((2, 3)), world, images=4)
    samples = grids(WithReference((2, 3)), world, images=4, draws=5)["prior_samples"]
    assert samples.images.shape[:2] == (4, 5)
    assert (shades(samples, 0) == shades(samples, 0)[0]).all()
    style = shades(samples, 2)
    assert (style == style[:, :1]).all()
    assert len(set(style[:, 0])) > 1


def test_a_system_with_references_draws_from_the_standard_normal() -> None:
    model = RemembersWithReference((2, 3))
    found = grids(model, Painted.drawn((2, 3), 3), images=1, draws=400)
    assert "characteristic_interpolation" not in found  # there is no next image
    drawn = model.codes[0][0, :, :2]
    assert abs(float(drawn.mean())) < 0.1
    assert abs(float(drawn.std()) - 1) < 0.1


def test_a_system_without_a_prior_takes_characteristics_of_images_and_says_so() -> None:
    """As Mathieu et al.'s: its ``e`` is a point for each image, and N(0, I) would be no ``e`` of any."""
    world, model = Painted.drawn((2, 3), 9), Remembers((2, 3))
    found = grids(model, world, images=2, draws=40)["conditional_synthesis"]
    assert found.title.endswith("those of an image of test at random (there is no prior)")
    of_images = world.view(model).codes(9)[:, :2].tolist()
    drawn = model.codes[0][0, :, :2].tolist()
    assert all(each in of_images for each in drawn)
    assert len({tuple(each) for each in drawn}) > 4


def test_a_reference_becomes_the_image_itself() -> None:
    found = grids(WithReference((2, 3)), Painted.drawn((2, 3), 9), images=4, steps=3)
    frames = found["reference_interpolation"]
    for row, value in ((0, 0.2), (1, 0.6)):
        own, first, middle, last = shades(frames, row).T
        assert (np.abs(first - 255 * value) <= 1).all()
        assert (np.abs(middle - (first + last) / 2) <= 1).all()
        assert (np.abs(last - own) <= 1).all()
    assert np.ptp(shades(frames, 2), axis=1).max() <= 1
    assert "reference_interpolation" not in grids(WithoutLabels((2, 3)), Painted.drawn((2, 3), 9))
