"""Distances of local patches: by hand, against a plain reading of the paper's code, and of pictures with noise in them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from pipeline.measures.measure import DoesNotApply, Measured
from pipeline.measures.naturalness import Naturalness
from pipeline.measures.patch_distance import (
    laplacian_pyramid,
    patch_distances,
    random_directions,
    random_patches,
    sliced_distance,
    sorted_projections,
)
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter


def test_the_pyramid_is_that_of_the_papers_code() -> None:
    """A plain reading of its sliced_wasserstein.py, with scipy."""
    weights = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    image = np.random.default_rng(0).uniform(size=(2, 3, 64, 64))
    expected = [image]
    for _ in range(2):
        coarser = ndimage.convolve(expected[-1], weights[None, None], mode="mirror")[..., ::2, ::2]
        spread = np.zeros_like(expected[-1])
        spread[..., ::2, ::2] = coarser
        expected[-1] = expected[-1] - ndimage.convolve(spread, weights[None, None] * 4, mode="mirror")
        expected.append(coarser)
    found = laplacian_pyramid(torch.from_numpy(image))
    assert [level.shape[-1] for level in found] == [64, 32, 16]
    for level, ours in zip(expected, found, strict=True):
        np.testing.assert_allclose(ours.numpy(), level, atol=1e-12)


@pytest.mark.parametrize(
    ("side", "levels"), [(28, [28, 14]), (32, [32, 16]), (8, [8]), (5, [5]), (63, [63, 32, 16])]
)
def test_images_of_other_sizes_have_as_many_levels_as_patches_fit_twice(side: int, levels: list[int]) -> None:
    assert [level.shape[-1] for level in laplacian_pyramid(torch.rand(1, 1, side, side))] == levels


def test_patches_are_parts_of_their_images_and_normalised_by_channel() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(100.0).view(1, 1, 10, 10)
    patches = random_patches(torch.cat([ramp, 5 - 3 * ramp], dim=1), 400)
    assert patches.shape == (400, 2, 7, 7)
    assert patches.mean((0, 2, 3)).abs().max() < 1e-5
    assert patches.square().mean((0, 2, 3)).tolist() == pytest.approx([1, 1], rel=1e-5)
    # A step to the right is a tenth of a step down everywhere, and the channels mirror each other.
    right, down = patches.diff(dim=-1)[:, :1], patches.diff(dim=-2)[:, :1]
    torch.testing.assert_close(10 * right[..., 0, 0], down[..., 0, 0], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(patches[:, 0], -patches[:, 1], rtol=1e-3, atol=1e-4)
    assert len(patches[:, 0, 0, 0].round(decimals=3).unique()) == 16  # of the 4 x 4 places


def test_distances_along_directions_by_hand() -> None:
    one = torch.tensor([3.0, 1.0, 2.0]).view(3, 1, 1, 1)
    other = torch.tensor([2.0, 5.0, 1.0]).view(3, 1, 1, 1)
    along = [sorted_projections(each, torch.tensor([[1.0], [-1.0]])) for each in (one, other)]
    assert float(sliced_distance(*along)) == pytest.approx(1000 * (0 + 0 + 2) / 3)
    assert random_directions(9, 40, one.device).norm(dim=-1).tolist() == pytest.approx([1] * 40)


def test_patches_of_the_same_kind_are_near_and_noise_is_seen_at_the_finest_level() -> None:
    """Smooth pictures and the same with a patch of noise in a corner, with which the finest level rises most."""
    torch.manual_seed(0)
    smooth = torch.nn.functional.interpolate(torch.rand(60, 1, 4, 4), size=32, mode="bicubic")
    noisy = smooth[:20].clone()
    noisy[..., :12, :12] += 0.3 * torch.randn(20, 1, 12, 12)
    sets = [noisy, smooth[20:40], smooth[40:]]
    found = patch_distances(sets, [(0, 1), (1, 2)], per_image=64, directions=64)
    assert found.shape == (2, 2)
    assert found[0, 0] > 5 * found[1, 0]
    assert found[0, 0] / found[1, 0] > 2 * found[0, 1] / found[1, 1]


class Noisy(Painter):
    """Switches labels on with noise in the picture, which the readers, who look elsewhere, do not see."""

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        made = super().intervene(image, label, values, draws).clone()
        made[..., 1:] += torch.rand_like(made[..., 1:])
        return made


def measured(model: type[Painter], world: Painted, **settings: Any) -> Measured:
    torch.manual_seed(0)
    return Naturalness(**settings)(world.view(model(world.cardinalities), batch_size=100))


def test_clean_pictures_beat_noisy_ones_which_the_readers_cannot_tell() -> None:
    world = Painted.drawn((2, 2), 200)
    clean, noisy = (measured(model, world).numbers for model in (Painter, Noisy))
    assert clean["switched_patch_distance"] < 2 * clean["floor_patch_distance"]
    assert noisy["switched_finest_patch_distance"] > 3 * noisy["floor_finest_patch_distance"]
    assert noisy["switched_frechet"] < 2 * clean["switched_frechet"]
    # Chance: what repaints exactly is at the floor.
    assert clean["reconstructed_patch_distance"] < 2 * clean["floor_patch_distance"]
    assert clean["reconstructed_frechet"] == pytest.approx(clean["floor_frechet"], rel=1e-3)


def test_a_label_that_is_not_switched_on_is_far_from_pictures_that_have_it() -> None:
    world = Painted.drawn((2, 2), 200)
    exact, none = (measured(model, world).numbers for model in (Painter, IgnoresLabels))
    assert none["switched_frechet"] > 10 * exact["switched_frechet"]
    assert exact["switched_frechet_reader_sd"] > 0


def test_labels_with_too_few_images_are_left_out() -> None:
    world = Painted.drawn((2, 2, 3), 60)
    world.labels[:, 0] = 1
    world.observed[4:, 1] = False
    found = measured(Painter, world)
    assert np.isnan(found.arrays["frechet"][:2]).all()
    assert np.isfinite(found.arrays["patch_distance"][2:]).all()
    assert found.arrays["images_compared"][:2].tolist() == [0, 0]
    assert found.counts["switched_frechet"] == found.arrays["images_compared"].sum()
    world.observed[:] = False
    with pytest.raises(DoesNotApply, match="no label is known"):
        measured(Painter, world)
