from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.measures.image_grid import ImageGrid, grids_in
from pipeline.measures.traversal_plane import TraversalPlane
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


class Shows(AllAble):
    """One latent per binary label, two for the label of five values; an image shows one of its latents."""

    def __init__(self, shown: int) -> None:
        super().__init__()
        self.shown = shown

    def latents_of(self, label: int) -> slice:
        return slice(label, label + 1) if label < 3 else slice(3, 5)

    def encode(self, image: Tensor, labels: object = None) -> Tensor:
        return torch.full((len(image), 5), 0.5)

    def centres(self, label: int) -> Tensor:
        if label == 3:
            return torch.tensor([[0.0, 0], [1, 0], [0, 1], [1, 1], [0.5, 0.5]])
        return torch.tensor([[0.4], [0.6]])

    def draw(self, label: int, values: Tensor, draws: int) -> Tensor:
        alternating = torch.tensor([-1.0, 1.0]).repeat(draws // 2)[:, None, None]
        return self.centres(label)[values.long()] + 0.1 * alternating * (1 + values.float())

    def decode(self, code: Tensor) -> Tensor:
        return code[..., self.shown, None, None, None].expand(*code.shape[:-1], 3, 64, 64)


def planes(examples, shown: int, **options: object) -> dict[str, ImageGrid]:
    return grids_in(TraversalPlane(steps=3, **options)(ModelView(Shows(shown), examples)).arrays)  # type: ignore[arg-type]


def shades(grid: ImageGrid) -> list[list[float]]:
    return (grid.images[:, :, 0, 0, 0] / 255).round(2).tolist()


def test_the_first_label_goes_down_and_the_second_across_beyond_what_is_typical(examples) -> None:
    # Deviations are 0.1 of off and 0.2 of on.
    assert shades(planes(examples, 0, reach=1.0)["traversal_plane"]) == [[0.3] * 3, [0.55] * 3, [0.8] * 3]
    across = planes(examples, 1, reach=1.0)["traversal_plane"]
    assert shades(across) == [[0.3, 0.55, 0.8]] * 3
    assert across.title.startswith("a (off above, on below) and b (off left, on right), to 1 standard dev")
    assert shades(planes(examples, 2)["traversal_plane"]) == [[0.5] * 3] * 3
    assert shades(planes(examples, 2, labels="C+a", reach=0.0)["traversal_plane"])[0] == [0.4] * 3


def test_classes_are_corners(examples) -> None:
    plane = planes(examples, 3)["traversal_plane_hair"]
    assert shades(plane) == [[0, 0.5, 1]] * 3
    assert shades(planes(examples, 4)["traversal_plane_hair"]) == [[0] * 3, [0.5] * 3, [1] * 3]
    assert plane.title == "hair: v and w above, x and y below"
    turned = planes(examples, 3, classes="w+y+v+z")["traversal_plane_hair"]
    assert shades(turned)[0] == [1, 1, 1]
    assert shades(turned)[2] == [0, 0.25, 0.5]


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"labels": "a"}, "labels is 'a'; it must be 2 different names joined by '+'"),
        ({"labels": "a+hat"}, "labels names 'hat'; there are: a, b, c, hair"),
        ({"labels": "a+hair"}, "labels names hair, which is not binary"),
        ({"classes": "v+v+w+x"}, "classes is 'v+v+w+x'; it must be 4 different names joined by '+'"),
        ({"image": 41}, "image is 41; split test has 41 images"),
    ],
)
def test_what_is_not_there_is_refused(examples, options: dict[str, object], sentence: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(f"traversal_plane: {sentence}")):
        planes(examples, 0, **options)
