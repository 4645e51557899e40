"""A trained model as a script has it: the network, and what it knows by the names of labels and values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from data_prep.errors import ConfigError
from data_prep.manifest import LabelSpec
from pipeline.config import RunConfig
from pipeline.models.capabilities import (
    Classifies,
    Encodes,
    GeneratesFromLabels,
    Intervenes,
    KnownLabels,
    NeedsLabels,
    Reconstructs,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class TrainedModel:
    """A model in evaluation mode with the names of its labels.

    Images are uint8, (image, channel, height, width), as tensors or arrays; pictures that come back are floats in [0, 1].
    ``labels`` of images, where a system needs them to encode, are values by number, (image, label), all of them known.
    What a system cannot do is refused with a ConfigError; ``network`` itself has everything else
    (``pipeline.models.capabilities``).
    """

    network: nn.Module
    config: RunConfig
    name: str
    """Of the cell that it was trained in."""
    identity: str
    """Of that cell."""
    labels: tuple[LabelSpec, ...]
    image_shape: tuple[int, int, int]
    """(channels, height, width)."""

    @property
    def device(self) -> torch.device:
        """Where the network is; inputs are brought there."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def classify(self, images: Tensor | NDArray[np.uint8]) -> dict[str, Float[Tensor, "image value"]]:
        """``q(y_i | x)``: for each label, by name, the probability of each of its values."""
        network, pictures = self.network, self._images(images)
        if not isinstance(network, Classifies):
            raise self._cannot("classify images")
        found = network.classify(pictures)
        return {label.name: each.float().exp() for label, each in zip(self.labels, found, strict=True)}

    @torch.no_grad()
    def encode(
        self, images: Tensor | NDArray[np.uint8], labels: Tensor | NDArray[np.uint8] | None = None
    ) -> Float[Tensor, "image latent"]:
        """The code of each image: posterior means."""
        network, pictures = self.network, self._images(images)
        if not isinstance(network, Encodes):
            raise self._cannot("encode images")
        return network.encode(pictures, self._known(labels, len(pictures)))

    @torch.no_grad()
    def decode(self, code: Float[Tensor, "image latent"]) -> Float[Tensor, "image channel height width"]:
        """The picture of each code."""
        network = self.network
        if not isinstance(network, Encodes):
            raise self._cannot("decode codes")
        return network.decode(code.to(self.device))

    @torch.no_grad()
    def reconstruct(
        self, images: Tensor | NDArray[np.uint8], labels: Tensor | NDArray[np.uint8] | None = None
    ) -> Float[Tensor, "image channel height width"]:
        """Each image, encoded and decoded."""
        network, pictures = self.network, self._images(images)
        if not isinstance(network, Reconstructs):
            raise self._cannot("reconstruct images")
        return network.reconstruct(pictures, self._known(labels, len(pictures)))

    @torch.no_grad()
    def intervene(
        self,
        images: Tensor | NDArray[np.uint8],
        label: str,
        value: str,
        draws: int = 1,
        labels: Tensor | NDArray[np.uint8] | None = None,
    ) -> Float[Tensor, "draw image channel height width"]:
        """Each image with one label changed to a value, all else kept; the draws differ in that label's characteristics."""
        network, pictures = self.network, self._images(images)
        if not isinstance(network, Intervenes):
            raise self._cannot("change a label of an image")
        place = self._place(label)
        wanted = torch.full_like(pictures[:, 0, 0, 0], self._value(place, value))
        return network.intervene(pictures, place, wanted, draws, self._known(labels, len(pictures)))

    @torch.no_grad()
    def generate(self, values: Sequence[Mapping[str, str]]) -> Float[Tensor, "image channel height width"]:
        """A picture for each mapping from every label to one of its values."""
        network = self.network
        if not isinstance(network, GeneratesFromLabels):
            raise self._cannot("generate images from labels")
        for each in values:
            missing = [label.name for label in self.labels if label.name not in each]
            if missing:
                raise ConfigError(f"{self.name}: generate needs a value of {', '.join(missing)}, too")
        places = [{self._place(name): value for name, value in each.items()} for each in values]
        rows = [[self._value(place, each[place]) for place in range(len(self.labels))] for each in places]
        return network.generate(torch.tensor(rows, dtype=torch.uint8, device=self.device))

    def _images(self, images: Tensor | NDArray[np.uint8]) -> UInt8[Tensor, "image channel height width"]:
        found = torch.as_tensor(images)
        if found.dtype != torch.uint8 or tuple(found.shape[1:]) != self.image_shape:
            got = f"{str(found.dtype).removeprefix('torch.')} of shape {tuple(found.shape)}"
            raise ConfigError(
                f"{self.name} takes images of uint8 and shape (images, {', '.join(map(str, self.image_shape))}), not {got}"
            )
        return found.to(self.device)

    def _known(self, labels: Tensor | NDArray[np.uint8] | None, images: int) -> KnownLabels | None:
        if labels is None:
            if isinstance(self.network, NeedsLabels) and self.network.needs_labels:
                raise ConfigError(
                    f"{self.name} cannot encode without labels: pass labels, an array of (images, labels) with their values"
                )
            return None
        found = torch.as_tensor(labels).to(self.device, torch.uint8)
        if tuple(found.shape) != (images, len(self.labels)):
            raise ConfigError(
                f"{self.name}: labels have the shape {tuple(found.shape)}; they need ({images}, {len(self.labels)})"
            )
        return KnownLabels.all_of(found)

    def _place(self, name: str) -> int:
        names = [label.name for label in self.labels]
        if name not in names:
            raise ConfigError(f"{self.name} has no label {name!r}; it has {', '.join(names) or 'none'}")
        return names.index(name)

    def _value(self, place: int, value: str) -> int:
        label = self.labels[place]
        if value not in label.values:
            raise ConfigError(f"{label.name} has no value {value!r}; it has {', '.join(label.values)}")
        return label.values.index(value)

    def _cannot(self, what: str) -> ConfigError:
        return ConfigError(f"{self.config.model.system} cannot {what} (docs/systems.md)")
