"""Keypoints of pictures of random shapes, which a system keeps, blurs, or replaces."""

from __future__ import annotations

import re
import sys
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from data_prep.errors import ConfigError, MissingDependencyError
from pipeline.measures.feature_matches import described, match_confidences
from pipeline.measures.feature_matching import FeatureMatching
from pipeline.measures.named_labels import positions_named, positions_present
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import AllAble


@pytest.fixture(autouse=True)
def opencv() -> None:
    pytest.importorskip("cv2")


def test_confidences_by_hand() -> None:
    points = np.zeros((4, 128), dtype=np.float32)
    points[:, 0] = [0, 10, 104, 200]
    others = np.zeros((3, 128), dtype=np.float32)
    others[:, 0] = [0, 100, 200]
    # Distances: 0 and 100; 10 and 90; 4 and 96; 0 and 100.
    found = match_confidences((None, points), (None, others), 0.8)
    assert found == pytest.approx([1, 1 - 10 / 90, 1 - 4 / 96, 1])
    assert match_confidences((None, points), (None, others), 0.1) == pytest.approx([1, 1 - 4 / 96, 1])
    twins = np.zeros((2, 128), dtype=np.float32)
    assert not len(match_confidences((None, points), (None, twins), 0.8))
    assert not len(match_confidences((None, points), (None, others[:1]), 0.8))
    assert not len(match_confidences((None, None), (None, others), 0.8))


def test_a_picture_matches_itself_and_a_plain_one_nothing() -> None:
    picture = np.random.default_rng(0).integers(256, size=(3, 16, 16), dtype=np.uint8)
    itself = described(picture, 4)
    assert len(itself[0]) > 10
    assert match_confidences(itself, itself, 0.8).tolist() == [1.0] * len(itself[0])
    assert described(np.zeros((1, 16, 16), dtype=np.uint8), 4)[1] is None


class Keeps(AllAble):
    """Reconstructs exactly; switching label 0 changes a corner, label 1 everything, and label 2 nothing."""

    def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
        return image.float() / 255

    def intervene(
        self, image: Tensor, label: int, values: Tensor, draws: int = 1, labels: Any = None
    ) -> Tensor:
        self.values = [*getattr(self, "values", []), values]
        made = self.reconstruct(image).clone()
        if label < 2:
            side = (32, 64)[label]
            made[..., :side, :side] = torch.rand_like(made[..., :side, :side])
        return made[None]


class Blurs(Keeps):
    def reconstruct(self, image: Tensor, labels: Any = None) -> Tensor:
        return functional.avg_pool2d(image.float() / 255, 9, stride=1, padding=4)


def test_what_stays_in_place_matches(examples) -> None:
    model = Keeps()
    found = FeatureMatching(images=4)(ModelView(model, examples))
    numbers = found.numbers
    assert found.arrays["labels"].tolist() == ["a", "b", "c"]
    corner, everything, nothing = found.arrays["label_sift_matches"]
    assert everything < 0.1 * corner
    assert 0.5 * nothing < corner < 0.9 * nothing
    assert found.arrays["label_sift_confidence"][2] == 1
    assert numbers["sift_matches_reconstructed"] == pytest.approx(numbers["sift_keypoints"])
    assert numbers["sift_confidence_reconstructed"] == 1
    # Chance.
    assert numbers["sift_matches_other_image"] < 0.1 * numbers["sift_keypoints"]
    assert numbers["sift_confidence_other_image"] < 0.4
    blurred = FeatureMatching(images=4, labels="C")(ModelView(Blurs(), examples)).numbers
    assert blurred["sift_matches_switched"] == blurred["sift_matches_reconstructed"]
    assert blurred["sift_matches_reconstructed"] < numbers["sift_matches_switched"]
    known = examples.observed[:4, 0]
    assert model.values[0].tolist() == (1 - examples.labels[:4, 0][known]).tolist()


def test_labels_are_those_of_the_paper_where_there_are_any(examples) -> None:
    assert positions_present(("Smiling", "Hat", "Wearing_Necktie"), ["wearing necktie", "smiling"]) == [1, 0]
    assert positions_named("b+ A_B", ["a b", "B", "c"], "x") == [1, 0]
    with pytest.raises(ConfigError, match=re.escape("labels names 'hair'; there are: a, b, c")):
        FeatureMatching(labels="hair")(ModelView(Keeps(), examples))


def test_without_opencv_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    sentence = "this measure needs cv2; pip install 'traitvae[ffcv]' installs it"
    with pytest.raises(MissingDependencyError, match=re.escape(sentence)):
        described(np.zeros((1, 16, 16), dtype=np.uint8), 4)
