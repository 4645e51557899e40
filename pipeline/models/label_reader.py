"""An independent classifier of pictures, which judges what other systems draw: a small residual network.

max Σ_i log q(y_i | x) over the observed labels of each image, of pictures that are shifted, mirrored, blurred and noisy.

It has nothing in common with the encoder of a VAE, and is trained without one. Measures rest on an ensemble of three
(``pipeline.measures.label_readers``): a single classifier can be fooled by a decoder that draws for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import tyro
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch
from pipeline.field_checks import check, check_at_least
from pipeline.models.interface import DataSpec, Losses, term, to_pixels
from pipeline.models.parts.image_augmentation import Augmentation
from pipeline.models.parts.label_codes import LabelCodes, log_likelihood_of
from pipeline.models.parts.residual_features import ResidualFeatures


@dataclass(frozen=True, kw_only=True, slots=True)
class LabelReaderConfig:
    """A residual network that predicts all labels of an image."""

    system: Annotated[Literal["label_reader"], tyro.conf.Suppress] = "label_reader"
    channels: int = 32
    """Channels of the first residual block; the last has four times as many, which are the features."""
    flips: bool = True
    """Mirror half of the images; wrong for data whose labels a mirror changes, such as digits."""
    shift: float = 0.05
    """Largest random shift, as a share of the image's side."""
    blur: float = 1.0
    """Largest share of a 5 x 5 blur mixed into half of the images."""
    noise: float = 0.1
    """Largest standard deviation of noise in half of the images, whose pixels are in [0, 1]."""

    def __post_init__(self) -> None:
        check_at_least(2, self, "channels")
        check(0 <= self.shift < 0.5, f"label_reader: shift is {self.shift}; it must be in [0, 0.5)")
        check(0 <= self.blur <= 1, f"label_reader: blur is {self.blur}; it is a share, 0 to 1")
        check_at_least(0, self, "noise")

    def build(self, data: DataSpec) -> LabelReader:
        return LabelReader(self, data)


class LabelReader(nn.Module):
    """A classifier of square images, of one class label, several binary labels, or a mix."""

    def __init__(self, config: LabelReaderConfig, data: DataSpec) -> None:
        super().__init__()
        _, height, width = data.image_shape
        if height != width:
            raise ConfigError(f"label_reader takes square images; these are {height} x {width}")
        self.config = config
        self.codes = LabelCodes(data.labels_for(config.system))
        self.augmentation = Augmentation(
            shift=config.shift, flips=config.flips, blur=config.blur, noise=config.noise
        )
        self.network = ResidualFeatures(data.image_shape, config.channels)
        self.head = nn.Linear(self.network.size, self.codes.width)

    def forward(self, batch: Batch) -> Losses:
        """``Σ_i log q(y_i | x)`` of each example over its observed labels; 0 without any."""
        pixels = self.augmentation(batch.image).flatten(1) if self.training else to_pixels(batch.image)
        log_q = self.codes.log_probabilities(self.head(self.network(pixels)))
        objective = log_likelihood_of(log_q, batch.labels, batch.observed)
        return Losses(
            objective=objective,
            terms={
                "objective": term(objective),
                "labelled/log_label_likelihood": term(objective[: batch.labelled]),
            },
        )

    # capabilities

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log q(y_i | x)`` of every label."""
        return self.log_probabilities(self.features(to_pixels(image)))

    def features(self, pixels: Float[Tensor, "batch pixel"]) -> Float[Tensor, "batch feature"]:
        """The last hidden layer, of flat images in [0, 1]."""
        features: Tensor = self.network(pixels)
        return features

    def log_probabilities(
        self, features: Float[Tensor, "batch feature"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log q(y_i | x)`` of every label from ``features``."""
        return self.codes.by_label(self.codes.log_probabilities(self.head(features)))
