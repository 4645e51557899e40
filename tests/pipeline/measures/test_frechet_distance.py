"""The Fréchet distance: by hand, against torchmetrics, and between pictures that are drawn well and badly."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pipeline.measures.frechet_classifier import FrechetClassifier
from pipeline.measures.frechet_distance import frechet_distance
from pipeline.measures.measure import DoesNotApply
from tests.pipeline.measures.painted import IgnoresLabels, Painted, Painter


def test_gaussians_along_axes_by_hand() -> None:
    """Variances 1 and 4 against 9 and 4, and means 3 apart: 9 + (1 − 3)² + (2 − 2)²."""
    cross = torch.tensor([[1.0, 0], [-1, 0], [0, 1], [0, -1]]) * (3 / 2) ** 0.5
    one = cross * torch.tensor([1.0, 2.0])
    other = cross * torch.tensor([3.0, 2.0]) + torch.tensor([0.0, 3.0])
    assert frechet_distance(one, other) == pytest.approx(13, rel=1e-6)
    assert frechet_distance(one, one.flip(0)) == pytest.approx(0, abs=1e-9)
    # The order of the rows does not matter, and a rotation of both neither.
    turn = torch.linalg.qr(torch.randn(2, 2, dtype=torch.float64)).Q.float()
    assert frechet_distance(one @ turn, other.flip(0) @ turn) == pytest.approx(13, rel=1e-5)


@pytest.mark.parametrize("rows", [300, 20])  # more than features, and fewer
def test_it_is_that_of_torchmetrics(rows: int) -> None:
    image = pytest.importorskip("torchmetrics.image.fid")

    class Features(nn.Module):
        num_features = 40

        def forward(self, features: Tensor) -> Tensor:
            return features

    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(40, 40, generator=generator)
    one = torch.randn(rows, 40, generator=generator) @ mix
    other = torch.randn(rows + 7, 40, generator=generator) @ (mix + 0.3) + 0.5
    theirs = image.FrechetInceptionDistance(feature=Features()).set_dtype(torch.float64)
    theirs.update(one.double(), real=True)
    theirs.update(other.double(), real=False)
    assert frechet_distance(one, other) == pytest.approx(float(theirs.compute()), rel=1e-3)


def measured(model: type[Painter], rows: int = 400, **settings: Any) -> dict[str, float]:
    torch.manual_seed(0)
    world = Painted.drawn((2, 5), rows)
    return dict(FrechetClassifier(**settings)(world.view(model((2, 5)), batch_size=100)).numbers)


class Blank(IgnoresLabels):
    """Draws the same picture again and again."""

    def generate(self, labels: Tensor) -> Tensor:
        return self.decode(torch.full((len(labels), len(self.cardinalities) + 1), 0.5))


@pytest.mark.parametrize("labels", ["prior", "data"])
def test_pictures_of_the_right_kind_beat_blank_ones(labels: str) -> None:
    right, blank = (measured(model, labels=labels) for model in (Painter, Blank))
    assert right["frechet_classifier"] < 0.1 < blank["frechet_classifier"]
    assert right["frechet_classifier_reader_sd"] > 0


def test_as_many_generated_as_real_images_are_compared_and_counted() -> None:
    world = Painted.drawn((2,), 9)
    found = FrechetClassifier(images=100)(world.view(Painter((2,))))
    assert found.counts["frechet_classifier"] == 9
    assert FrechetClassifier(images=5)(world.view(Painter((2,)))).counts["frechet_classifier"] == 5
    with pytest.raises(DoesNotApply, match="at least two images"):
        FrechetClassifier()(Painted.drawn((2,), 1).view(Painter((2,))))
