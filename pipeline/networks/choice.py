"""The family of networks that a run names, and what ``auto`` stands for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import Annotated

import tyro

from data_prep.errors import ConfigError
from pipeline.networks.convolutional import Convolutional, halvings
from pipeline.networks.families import ImageShape, Networks
from pipeline.networks.own import OwnNetworks
from pipeline.networks.perceptrons import Perceptrons
from pipeline.networks.pixel_norm import PixelNormalised
from pipeline.own_source import is_own

log = logging.getLogger(__name__)

CONVOLUTIONS: dict[str, Callable[[ImageShape], Networks]] = {
    "convolutional": Convolutional,
    "pixel_norm": PixelNormalised,
}
NetworkName = Annotated[
    str, tyro.conf.arg(metavar="{auto,mlp,convolutional,pixel_norm,FILE.py:CLASS,MODULE:CLASS}")
]
NAMES = ("auto", "mlp", *CONVOLUTIONS)
LARGEST_SIDE_FOR_MLP = 32
"""Of larger images no paper uses MLPs."""


def check_network(system: str, choice: str) -> None:
    """ConfigError unless it can name a family of networks, or a class of the user's."""
    if choice not in NAMES and not is_own(choice):
        raise ConfigError(
            f"{system}: network is {choice!r}; it must be {', '.join(NAMES)}, or a class of your own as FILE.py:CLASS or"
            " MODULE:CLASS"
        )


def networks_for(choice: str, image_shape: ImageShape, *, width: int, system: str) -> Networks:
    """The chosen family for images of this shape; ``width`` is that of the hidden layers of MLPs.

    Raises:
        ConfigError: it has none for this shape, or is a class of the user's that does not keep the contract.
    """
    if is_own(choice):
        return OwnNetworks(choice, image_shape, width)
    name = auto(image_shape) if choice == "auto" else choice
    if choice == "auto":
        _log_choice(system, image_shape)
    if name == "mlp":
        return Perceptrons(image_shape, width)
    try:
        return CONVOLUTIONS[name](image_shape)
    except ConfigError as error:
        raise ConfigError(f"{system}: {error}") from None


def auto(image_shape: ImageShape) -> str:
    """What ``auto`` stands for: convolutions for images that are larger than 32 × 32, MLPs for others."""
    is_large = max(image_shape[1:]) > LARGEST_SIDE_FOR_MLP
    return "convolutional" if is_large and halvings(image_shape) is not None else "mlp"


@cache
def _log_choice(system: str, image_shape: ImageShape) -> None:
    """Once for all models of a process."""
    name, (_, height, width) = auto(image_shape), image_shape
    if name == "mlp" and max(height, width) > LARGEST_SIDE_FOR_MLP:
        log.warning(
            "%s: network=auto is mlp, for images of %d x %d pixels, of which no paper has MLPs",
            system,
            height,
            width,
        )
    else:
        log.info("%s: network=auto is %s, for images of %d x %d pixels", system, name, height, width)
