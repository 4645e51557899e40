"""Mean codes of the images that have a value of a label, over a split in batches."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.models.capabilities import KnownLabels
from pipeline.models.parts.class_means import class_means

CODES = torch.arange(15.0).reshape(5, 3)
LABELS = torch.tensor([[0, 2], [1, 1], [0, 255], [255, 0], [1, 2]], dtype=torch.uint8)
OBSERVED = LABELS != 255


class Remembers:
    """Its codes are those of the images' numbers, which must come with the labels of the same rows."""

    def encode(self, image: Tensor, labels: KnownLabels | None = None) -> Tensor:
        assert labels is not None
        rows = image[:, 0, 0, 0].long()
        assert torch.equal(labels.labels, LABELS[rows])
        return CODES[rows]

    def decode(self, code: Tensor) -> Tensor:
        raise NotImplementedError


def batches(size: int) -> Iterator[tuple[Tensor, KnownLabels]]:
    numbers = torch.arange(5, dtype=torch.uint8)[:, None, None, None]
    for start in range(0, 5, size):
        rows = slice(start, start + size)
        yield numbers[rows], KnownLabels(LABELS[rows], OBSERVED[rows])


@pytest.mark.parametrize("size", [1, 2, 5])
def test_means_are_over_all_images_whose_label_is_known_to_have_the_value(size: int) -> None:
    found = class_means(Remembers(), batches(size), (2, 3))
    torch.testing.assert_close(found.of(0), torch.stack([CODES[[0, 2]].mean(0), CODES[[1, 4]].mean(0)]))
    torch.testing.assert_close(found.of(1), torch.stack([CODES[3], CODES[1], CODES[[0, 4]].mean(0)]))
    assert [counts.tolist() for counts in found.counts] == [[2, 2], [1, 1, 2]]


def test_a_value_that_no_image_has_has_no_mean() -> None:
    found = class_means(Remembers(), batches(2), (3, 3))
    with pytest.raises(
        ConfigError, match=r"^no image with value 2 of label 0 is known, so it has no mean code$"
    ):
        found.of(0)
    found.of(1)


def test_no_images_have_no_means() -> None:
    with pytest.raises(ConfigError, match="there are no images"):
        class_means(Remembers(), [], (2,))
