"""The label reader: images of any square side, augmentation in training alone, and that it learns."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.models.parts.image_augmentation import Augmentation, blurred
from pipeline.models.parts.residual_features import ResidualFeatures
from tests.pipeline.models.every_system import DATA, images, shape

NOTHING = Augmentation(shift=0.0, flips=False, blur=0.0, noise=0.0)


@pytest.mark.parametrize("side", [8, 28, 48, 64, 96, 128])
def test_images_of_any_side_have_the_same_number_of_features(side: int) -> None:
    network = ResidualFeatures((3, side, side), channels=4).eval()
    assert network(torch.rand(2, 3 * side * side)).shape == (2, network.size)


def test_images_that_are_not_square_are_refused() -> None:
    with pytest.raises(ConfigError, match="label_reader takes square images; these are 28 x 32"):
        LabelReaderConfig().build(shape((1, 28, 32), (2,), partly_observed=False))


def test_pictures_are_changed_in_training_alone() -> None:
    data = DATA["faces"]
    model, picture = LabelReaderConfig(channels=4).build(data), images(data, 4)
    batch = Batch(
        image=picture,
        labels=torch.zeros(4, 18, dtype=torch.uint8),
        observed=torch.ones(4, 18, dtype=torch.bool),
        labelled=4,
    )
    with torch.no_grad():
        one, other = model(batch).objective, model(batch).objective
        model.eval()
        read = torch.stack(model.classify(picture), 1)[..., 0].sum(1)
        assert not torch.equal(one, other)
        torch.testing.assert_close(model(batch).objective, read)


def augmented(picture: Tensor, **options: float) -> Tensor:
    torch.manual_seed(0)
    settings = {"shift": 0.0, "flips": False, "blur": 0.0, "noise": 0.0} | options
    return Augmentation(**settings)(picture) * 255  # type: ignore[arg-type]


def test_augmentation_shifts_mirrors_blurs_and_adds_noise_to_each_image_differently() -> None:
    picture = images(DATA["faces"], 32)
    flat = picture.float()
    torch.testing.assert_close(NOTHING(picture) * 255, flat)
    mirrored = augmented(picture, flips=True)
    kinds = {
        (torch.equal(one.round(), before), torch.equal(one.round(), before.flip(-1)))
        for one, before in zip(mirrored, flat, strict=True)
    }
    assert kinds == {(True, False), (False, True)}
    shifted = augmented(picture, shift=0.05)  # by up to 3 pixels
    found = set()
    for one, before in zip(shifted, flat, strict=True):
        places = [
            (down, right)
            for down in range(-3, 4)
            for right in range(-3, 4)
            if torch.equal(
                one[:, 3:-3, 3:-3].round(), before[:, 3 + down : 61 + down, 3 + right : 61 + right]
            )
        ]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 10
    for options in ({"blur": 1.0}, {"noise": 0.1}):
        changed = (augmented(picture, **options) - flat).abs().amax((1, 2, 3)) > 0.1
        assert 4 < changed.sum() < 28


def test_a_blur_keeps_flat_areas_and_spreads_a_point() -> None:
    torch.testing.assert_close(blurred(torch.ones(1, 3, 8, 8)), torch.ones(1, 3, 8, 8))
    point = torch.zeros(1, 1, 9, 9)
    point[0, 0, 4, 4] = 1
    spread = blurred(point)[0, 0]
    assert float(spread.sum()) == pytest.approx(1)
    assert float(spread[4, 4]) == pytest.approx((6 / 16) ** 2)
    assert float(spread[3, 6]) == pytest.approx(4 / 16 * 1 / 16)


def test_it_learns_labels_of_which_half_are_unknown() -> None:
    """Whether the left half is brighter, and whether the upper half is, of noise at random brightness."""
    torch.manual_seed(0)
    values = torch.randint(2, (256, 2), dtype=torch.uint8)
    picture = torch.rand(256, 1, 16, 16) * 120
    picture[..., :8] += 60 * values[:, 0, None, None, None]
    picture[..., :8, :] += 60 * values[:, 1, None, None, None]
    observed = torch.rand(256, 2) < 0.5
    batch = Batch(image=picture.byte(), labels=values, observed=observed, labelled=256)
    config = LabelReaderConfig(channels=8, flips=False)
    model = config.build(shape((1, 16, 16), (2, 2), partly_observed=True))
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(30):
        optimiser.zero_grad()
        (-model(batch).objective.mean()).backward()
        optimiser.step()
    model.eval()
    with torch.no_grad():
        read = torch.stack([one.argmax(1) for one in model.classify(batch.image)], 1)
    assert (read == values)[~observed].float().mean() > 0.95
