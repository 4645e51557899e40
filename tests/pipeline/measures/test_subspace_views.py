"""A system with two latents per binary label and three of the label of five values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.figures.subspaces import draw_subspace_views
from pipeline.measures.image_grid import grids_in
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.subspace_planes import Plane
from pipeline.measures.subspace_views import SubspaceViews
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


def test_planes_are_the_axes_or_where_latents_vary_most() -> None:
    two = torch.tensor([[1.0, 2], [3, 9]])
    assert torch.equal(Plane.of(two).coordinates(two), two)
    torch.manual_seed(0)
    varied = torch.randn(400, 4) * torch.tensor([0.1, 5, 0.1, 2]) + 7
    plane = Plane.of(varied)
    assert plane.directions[0].tolist() == pytest.approx([0, 1, 0, 0], abs=0.05)
    assert plane.directions[1].tolist() == pytest.approx([0, 0, 0, 1], abs=0.05)
    assert plane.coordinates(torch.tensor([0.0, 3, 0, 4])).tolist() == pytest.approx([3, 4], abs=0.5)
    with pytest.raises(ValueError, match="a plane needs two latents, not 1"):
        Plane.of(two[:, :1])


def test_grids_go_right_and_up_from_the_mean() -> None:
    latents = torch.tensor([[1.0, 4], [3, 6], [1, 6], [3, 4]])  # mean (2, 5), deviations 1
    points = Plane(torch.eye(2)).grid(latents, 2.0, 3)
    assert points[1, 1].tolist() == [2, 5]
    assert points[0, 2].tolist() == [4, 7]
    assert points[2, 0].tolist() == [0, 3]


class Labels(AllAble):
    """Its latents are the labels that it is given, in each label's first latent; an image shows one of its latents."""

    def __init__(self, shown: int = 0, own: int = 2) -> None:
        super().__init__()
        self.shown, self.own = shown, own

    def latents_of(self, label: int) -> slice:
        return slice(self.own * label, self.own * label + (self.own if label < 3 else 3))

    def encode(self, image: Tensor, labels=None) -> Tensor:
        code = 0.01 * torch.randn(len(image), 3 * self.own + 5)
        for label in range(4):
            code[:, self.own * label] += labels.labels[:, label].where(labels.observed[:, label], 0) / 10
        code[:, -2:] += 0.5  # the style
        return code

    def decode(self, code: Tensor) -> Tensor:
        return code[..., self.shown, None, None, None].expand(*code.shape[:-1], 3, 64, 64)


def test_views_show_each_label_and_the_style_and_grids_are_around_the_label(examples, tmp_path) -> None:
    torch.manual_seed(0)
    found = SubspaceViews(steps=3, image=1)(ModelView(Labels(), examples)).arrays
    assert found["views"].tolist() == ["a", "b", "c", "hair, principal components", "Z", "z2, w1"]
    assert found["points"].shape == (6, 41, 2)
    known = examples.observed[:, 1]
    assert found["values"][1].tolist() == np.where(known, examples.labels[:, 1].astype(int), -1).tolist()
    assert found["points"][1, known, 0] == pytest.approx(examples.labels[known, 1] / 10, abs=0.05)
    assert found["points"][4].mean() == pytest.approx(0.5, abs=0.01)
    assert found["points"][5, :, 1] == pytest.approx(found["points"][0, :, 0])
    grids = grids_in(found)
    assert {"subspace_grid_a", "subspace_grid_b", "subspace_grid_c", "subspace_grid_hair_0"} <= grids.keys()
    shades = grids["subspace_grid_a"].images[:, :, 0, 0, 0] / 255
    assert (np.diff(shades, axis=1) > 0).all()
    assert shades[:, 1] == pytest.approx(0.1, abs=0.03)  # where label a is on
    assert np.ptp(grids["subspace_grid_b"].images[:, :, 0, 0, 0]) == 0  # latents of a are left alone
    assert found["grid_points"][0, 4, 0] == pytest.approx(0.1, abs=0.03)
    assert found["value_names"][0].tolist() == ["no", "yes", "", "", ""]
    draw_subspace_views(found, tmp_path / "figures" / "views.png")
    assert (tmp_path / "figures" / "views.png").stat().st_size > 10_000


def test_single_latents_and_points_that_are_no_pictures_have_no_grids(examples, monkeypatch) -> None:
    torch.manual_seed(0)
    found = SubspaceViews(points=20)(ModelView(Labels(own=1), examples)).arrays
    assert found["views"][0] == "hair, principal components"
    with pytest.raises(ConfigError, match="subspace_views: image is 30; split test has 20 images"):
        SubspaceViews(points=20, image=30)(ModelView(Labels(), examples))
    tiny = replace(examples.data.manifest, image_shape=(3, 1, 1))
    monkeypatch.setattr(examples.data, "manifest", tiny)
    found = SubspaceViews()(ModelView(Labels(), examples)).arrays
    assert not grids_in(found)
    assert found["grid_points"].shape == (6, 0, 2)
    binary = replace(tiny, labels=tiny.labels[:3])
    monkeypatch.setattr(examples.data, "manifest", binary)
    with pytest.raises(DoesNotApply, match="no label has two latents"):
        SubspaceViews()(ModelView(Labels(own=1), examples))
