"""Networks of the user's own: a class with ``encoder`` and ``decoder``, checked before it is used.

The class is called with the shape of an image, ``(channels, height, width)``, and has two methods, each of which makes a new
``torch.nn.Module``, with weights from torch's generator:

    encoder(outputs)   images (rows, channels, height, width) with values in [0, 1]   →   (rows, outputs)
    decoder(latents)   (rows, latents)   →   logits of an image, (rows, channels, height, width); their sigmoid is the image

Rows are any number, 0 included, and do not depend on each other (no batch normalisation): an example's objective would
depend on its batch, and on how many ranks share it. All parameters are used, and no call changes a buffer.
"""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn

from pipeline.networks.families import Features, ImageShape, Networks
from pipeline.networks.layers import concatenated
from pipeline.networks.own_class import Maker
from pipeline.networks.own_contract import check
from pipeline.own_source import OwnSource

_MAKERS: dict[tuple[str, str, ImageShape], Maker] = {}
"""Those of this process: each class is checked once for each shape, and again once its source has changed."""


class OwnNetworks(Networks):
    """The encoders and decoders of a class of the user's."""

    def __init__(self, choice: str, image_shape: ImageShape, width: int) -> None:
        """``width``: that of the features, from which systems go on that take something in addition to the image.

        Raises:
            ConfigError: the class is not found, or does not keep the contract.
        """
        super().__init__(image_shape)
        source = OwnSource.read(choice)
        key = source.choice, source.digest, image_shape
        if key not in _MAKERS:
            maker = Maker(source, image_shape)
            check(maker)
            _MAKERS[key] = maker
        self.made = _MAKERS[key]
        self.width = width

    def encoder(self, outputs: int) -> nn.Module:
        return FromFlatImages(self.made.encoder(outputs), self.image_shape)

    def decoder(self, latents: int) -> nn.Module:
        return ToFlatLogits(self.made.decoder(latents))

    def features(self) -> Features:
        return Features(nn.Sequential(self.encoder(self.width), nn.ReLU()), self.width, (self.width,))


class FromFlatImages(nn.Module):
    """The user's encoder, of flat images."""

    def __init__(self, network: nn.Module, image_shape: ImageShape) -> None:
        super().__init__()
        self.network, self.image_shape = network, image_shape

    def forward(self, pixels: Float[Tensor, "row pixel"]) -> Float[Tensor, "row output"]:
        found: Tensor = self.network(pixels.unflatten(-1, self.image_shape))
        return found


class ToFlatLogits(nn.Module):
    """The user's decoder, to flat logits."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self, z: Float[Tensor, "*rows latent"], condition: Float[Tensor, "*more_rows condition"] | None = None
    ) -> Float[Tensor, "*all_rows pixel"]:
        inputs = z if condition is None else concatenated(z, condition)
        logits: Tensor = self.network(inputs.flatten(0, -2))
        return logits.flatten(1).unflatten(0, inputs.shape[:-1])


# The names in models that were pickled before these were read from elsewhere.
_FromFlatImages, _ToFlatLogits = FromFlatImages, ToFlatLogits
