from __future__ import annotations

import sys

import pytest
import torch

from data_prep.errors import MissingDependencyError
from pipeline.measures.optional import optional_package
from pipeline.measures.reconstruction import Reconstruction, differences
from pipeline.measures.view import ModelView
from tests.pipeline.measures.all_able import DECODED, AllAble


def test_differences_by_hand() -> None:
    image = torch.full((2, 1, 16, 16), 0.5)
    other = image.clone()
    other[0] += 0.1
    other[1, :, :8] += 0.1
    error, psnr, ssim = differences(image, other)
    assert error.tolist() == pytest.approx([0.1, 0.05], abs=1e-6)
    assert psnr.tolist() == pytest.approx([20, 20 + 3.0103], abs=1e-3)
    # Of constant images only the means differ: (2 m n + c) / (m² + n² + c) with c = 0.01².
    assert float(ssim[0]) == pytest.approx((0.6 + 1e-4) / (0.61 + 1e-4), abs=1e-5)


def test_noise_costs_and_an_unrelated_image_costs_more() -> None:
    torch.manual_seed(0)
    image = torch.rand(4, 3, 64, 64)
    close, far = (image + 0.05 * torch.randn_like(image)).clamp(0, 1), image.roll(1, 0)
    for good, bad, sign in zip(differences(image, close), differences(image, far), (-1, 1, 1), strict=True):
        assert (sign * (good - bad) > 0).all()
    assert differences(image, far)[2].abs().max() < 0.05  # independent images: chance level
    assert differences(image, image)[2].tolist() == pytest.approx([1, 1, 1, 1])


def test_every_image_of_the_split_counts(examples) -> None:
    found = Reconstruction()(ModelView(AllAble(), examples))
    image = torch.cat(list(examples.images())).float() / 255
    shade = torch.tensor(DECODED).half().float()
    assert found.numbers["reconstruction_error"] == pytest.approx(float((image - shade).abs().mean()))
    assert found.counts["ssim"] == 41


def test_without_the_optional_package_one_sentence_says_how_to_install_it(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "torchmetrics", None)
    for name in [name for name in sys.modules if name.startswith("torchmetrics.")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(MissingDependencyError, match="needs torchmetrics; pip install 'traitvae"):
        optional_package("torchmetrics.functional.image")
