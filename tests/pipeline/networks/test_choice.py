"""Which family of networks a run gets."""

from __future__ import annotations

import pytest

from pipeline.networks import choice
from pipeline.networks.choice import networks_for
from pipeline.networks.convolutional import Convolutional
from pipeline.networks.perceptrons import Perceptrons
from pipeline.networks.pixel_norm import PixelNormalised


@pytest.mark.parametrize(
    ("image", "level", "sentence"),
    [
        ((1, 28, 28), "INFO", "ccvae: network=auto is mlp, for images of 28 x 28 pixels"),
        ((3, 32, 32), "INFO", "ccvae: network=auto is mlp, for images of 32 x 32 pixels"),
        ((1, 48, 48), "INFO", "ccvae: network=auto is convolutional, for images of 48 x 48 pixels"),
        ((3, 64, 64), "INFO", "ccvae: network=auto is convolutional, for images of 64 x 64 pixels"),
        ((3, 96, 96), "INFO", "ccvae: network=auto is convolutional, for images of 96 x 96 pixels"),
        ((1, 50, 50), "WARNING", "ccvae: network=auto is mlp, for images of 50 x 50 pixels, of which no paper has MLPs"),
    ],
)  # fmt: skip
def test_auto_is_decided_by_the_size_of_the_image_and_logged_once(
    image: tuple[int, int, int], level: str, sentence: str, caplog: pytest.LogCaptureFixture
) -> None:
    choice._log_choice.cache_clear()
    with caplog.at_level("INFO"):
        for _ in range(2):
            found = networks_for("auto", image, width=8, system="ccvae")
        networks_for("mlp", image, width=8, system="m2")
    assert isinstance(found, Convolutional if "convolutional" in sentence else Perceptrons)
    assert [(record.levelname, record.getMessage()) for record in caplog.records] == [(level, sentence)]


def test_a_family_that_is_named_is_taken_at_any_size() -> None:
    for name, family in (
        ("mlp", Perceptrons),
        ("convolutional", Convolutional),
        ("pixel_norm", PixelNormalised),
    ):
        assert type(networks_for(name, (1, 28, 28), width=8, system="ccvae")) is family
