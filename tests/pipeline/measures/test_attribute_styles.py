"""Styles are latents of other images with a label; the model is that of the tests of subspace views."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from data_prep.errors import ConfigError
from pipeline.measures.attribute_styles import AttributeStyles, far_apart
from pipeline.measures.image_grid import grids_in
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.view import ModelView
from tests.pipeline.measures.test_subspace_views import Labels


def test_styles_are_far_from_each_other() -> None:
    points = torch.tensor([[0.0, 0], [0.1, 0], [9, 0], [0, 5], [8.9, 0.1]])
    assert far_apart(points, 3) == [2, 3, 1]
    assert far_apart(points[:2], 3) == [0, 1]


def test_a_style_changes_its_own_label_only_and_two_labels_have_all_pairs(examples, monkeypatch) -> None:
    torch.manual_seed(0)
    (grids, own) = (
        grids_in(AttributeStyles(images=4)(ModelView(Labels(), examples)).arrays),
        "attribute_styles_a",
    )
    assert grids.keys() == {"attribute_styles_a", "attribute_styles_b", "attribute_styles_c"}
    assert grids[own].images.shape[:2] == (5, 5)
    shades = grids[own].images[1:, :, 0, 0, 0] / 255
    assert shades[:, 2:] == pytest.approx(0.1, abs=0.04)  # where label a is on
    assert np.ptp(shades[:, 2:], axis=0) == pytest.approx(0)  # the same down a column
    other = grids["attribute_styles_b"].images[1:, :, 0, 0, 0]
    assert (other[:, 2:] == other[:, 1:2]).all()  # latents of a are left alone
    two = replace(examples.data.manifest, labels=examples.data.manifest.labels[:2])
    monkeypatch.setattr(examples.data, "manifest", two)
    product = grids_in(AttributeStyles(images=4, styles=2)(ModelView(Labels(), examples)).arrays)[
        "attribute_products"
    ]
    assert list(product.columns) == ["image", "decoded", "1, 1", "1, 2", "2, 1", "2, 2"]
    shades = product.images[:, 2:, 0, 0, 0]
    assert (shades[:, 0] == shades[:, 1]).all()  # the same style of a, with two of b
    monkeypatch.setattr(examples.data, "manifest", replace(two, labels=examples.data.manifest.labels[:0]))
    with pytest.raises(DoesNotApply, match="no image of the split has a binary label"):
        AttributeStyles()(ModelView(Labels(), examples))


def test_styles_are_of_images_that_are_encoded() -> None:
    with pytest.raises(ConfigError, match="points is 3; it must be at least images, 6"):
        AttributeStyles(points=3)
