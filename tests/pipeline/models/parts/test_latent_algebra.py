"""Changes of codes: what a function names is changed as it says, all else is copied bit for bit."""

from __future__ import annotations

import torch

from pipeline.models.parts.latent_algebra import (
    grid,
    straight_path,
    surface,
    swapped,
    traversal,
    with_latents,
)
from tests.pipeline.models.injected_draws import noise

CODE = noise(4, 7, seed=0).float()
"""Of four images; the places of two labels are 1 to 2, and 4."""
ONE, OTHER, REST = slice(1, 3), slice(4, 5), [0, 3, 5, 6]


def test_latents_of_one_place_are_exchanged_and_the_rest_is_copied() -> None:
    own = noise(3, 4, 2, seed=1).float()
    found = with_latents(CODE, ONE, own)
    assert torch.equal(found[..., ONE], own)
    assert torch.equal(found[..., [0, 3, 4, 5, 6]], CODE[:, [0, 3, 4, 5, 6]].expand(3, -1, -1))


def test_a_swap_takes_several_places_from_the_first_code() -> None:
    style = noise(4, 7, seed=2).float()
    found = swapped(CODE, style, (ONE, OTHER))
    assert torch.equal(found[:, [1, 2, 4]], CODE[:, [1, 2, 4]])
    assert torch.equal(found[:, REST], style[:, REST])
    assert torch.equal(swapped(CODE, style, ()), style)


def test_a_straight_path_has_both_ends_and_equal_steps() -> None:
    start, end = torch.tensor([0.0, 3.0]), torch.tensor([4.0, 1.0])
    expected = torch.tensor([[0.0, 3.0], [1.0, 2.5], [2.0, 2.0], [3.0, 1.5], [4.0, 1.0]])
    torch.testing.assert_close(straight_path(start, end, 5), expected)


def test_a_traversal_is_the_same_path_for_every_image() -> None:
    path = noise(3, 2, seed=3).float()
    found = traversal(CODE, ONE, path)
    assert found.shape == (3, 4, 7)
    for step in range(3):
        assert torch.equal(found[step], with_latents(CODE, ONE, path[step]))


def test_a_grid_moves_two_labels_one_down_and_one_across() -> None:
    down, across = noise(3, 2, seed=4).float(), noise(5, 1, seed=5).float()
    found = grid(CODE, (ONE, down), (OTHER, across))
    assert found.shape == (3, 5, 4, 7)
    for row in range(3):
        for column in range(5):
            expected = with_latents(with_latents(CODE, ONE, down[row]), OTHER, across[column])
            assert torch.equal(found[row, column], expected)


def test_a_surface_has_its_four_corners_and_the_mean_of_all_in_its_middle() -> None:
    corners = noise(2, 2, 3, seed=6).float()
    found = surface(corners, 3, 5)
    assert found.shape == (3, 5, 3)
    torch.testing.assert_close(found[::2, ::4], corners)
    torch.testing.assert_close(found[1, 2], corners.mean((0, 1)))
    torch.testing.assert_close(found[0, 1], 0.75 * corners[0, 0] + 0.25 * corners[0, 1])
    torch.testing.assert_close(found[1, 0], (corners[0, 0] + corners[1, 0]) / 2)
