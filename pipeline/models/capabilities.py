"""Capabilities of systems, each with its contract; a test checks every system against the contracts it claims.

A *code* is the input of a decoder for an image: the latents of the labels first, label by label, then the style.
Known labels can be passed everywhere; a system whose encoder does not use labels ignores them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor

from data_prep.errors import ConfigError
from pipeline.data.batch import Batch


@dataclass(frozen=True, slots=True)
class KnownLabels:
    """The known labels of some images."""

    labels: UInt8[Tensor, "batch label"]
    observed: Bool[Tensor, "batch label"]
    """Values of ``labels`` are meaningless where this is false."""

    @classmethod
    def all_of(cls, labels: UInt8[Tensor, "batch label"]) -> KnownLabels:
        """Every label of every image."""
        return cls(labels, torch.ones_like(labels, dtype=torch.bool))

    def of(self, rows: Int64[Tensor, " row"]) -> KnownLabels:
        """Those of some of the images, in this order."""
        return KnownLabels(self.labels[rows], self.observed[rows])

    def to(self, device: torch.device) -> KnownLabels:
        """Those on a device."""
        return KnownLabels(self.labels.to(device), self.observed.to(device))


@dataclass(frozen=True, slots=True)
class ClassMeans:
    """The mean code of the images that have a value of a label (``pipeline.models.parts.class_means`` computes it)."""

    means: tuple[Float[Tensor, "_ latent"], ...]
    """For each label, a row per value; zeros if no image has it."""
    counts: tuple[Float[Tensor, " _"], ...]
    """Number of images of each row."""

    def of(self, label: int) -> Float[Tensor, "value latent"]:
        """A row per value of a label; ConfigError if a value has no image."""
        missing = (self.counts[label] == 0).nonzero()
        if len(missing):
            raise ConfigError(
                f"no image with value {int(missing[0])} of label {label} is known, so it has no mean code"
            )
        return self.means[label]


@runtime_checkable
class NeedsLabels(Protocol):
    """Its encoder takes labels, and may not have been trained without them."""

    @property
    def needs_labels(self) -> bool:
        """Whether ``encode``, and what depends on it, raises ConfigError if no known labels are given."""
        ...


def labels_if_needed(model: object, known: KnownLabels) -> KnownLabels | None:
    """The known labels for a model that cannot encode without; None for other models."""
    return known if isinstance(model, NeedsLabels) and model.needs_labels else None


@runtime_checkable
class Classifies(Protocol):
    """Predicts labels from images."""

    def classify(
        self, image: UInt8[Tensor, "batch channel height width"]
    ) -> list[Float[Tensor, "batch category"]]:
        """``log q(y_i | x)``: one tensor per label."""
        ...


@runtime_checkable
class BoundsLikelihood(Protocol):
    """A generative model of images with a computable bound of the likelihood, unlike a classifier."""

    @property
    def has_pixel_density(self) -> bool:
        """Whether ``log p(x)`` is that of a density of pixels, where black is 0 and white 1.

        It is not one if grey pixels are probabilities of a Bernoulli variable, as in the papers for MNIST.
        """
        ...

    def log_likelihood_bound(self, batch: Batch) -> Float[Tensor, " batch"]:
        """A lower bound of ``log p(x)`` in nats; of ``log p(x, y)`` with the labels that the batch observes."""
        ...


@runtime_checkable
class WeighsImportance(Protocol):
    """Gives the importance weights of samples, whose mean is the likelihood of an image without its labels."""

    def log_importance_weights(
        self, image: UInt8[Tensor, "batch channel height width"], samples: int
    ) -> Float[Tensor, "sample batch"]:
        """``log w`` of fresh samples of the posterior, where ``E[w] = p(x)``."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Maps an image to a code, and a code to an image."""

    def encode(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """The code of each image: posterior means."""
        ...

    def decode(self, code: Float[Tensor, "*rows latent"]) -> Float[Tensor, "*rows channel height width"]:
        """Mean images in [0, 1]."""
        ...


@runtime_checkable
class HasLabelLatents(Encodes, Protocol):
    """Has a separate part of the code for each label: its latents, or the label itself if the decoder takes it.

    This part belongs to the label only, so interventions, swaps and traversals are functions of codes
    (``pipeline.models.parts.latent_algebra``).
    """

    def latents_of(self, label: int) -> slice:
        """The position of a label of the data set; positions of different labels do not overlap."""
        ...

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """The label's part of the code for the given values: fresh samples, or the value itself each time."""
        ...


@runtime_checkable
class HasCentres(HasLabelLatents, Protocol):
    """Has a typical point for each value of a label: the ends of traversals, the corners of grids and polytopes."""

    def centres(self, label: int) -> Float[Tensor, "value own"]:
        """A row of the label's latents per value."""
        ...


@runtime_checkable
class EncodesFactors(Protocol):
    """Has latents that represent the labels: they come first in the code, and vary among images with the same labels."""

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of the latents that the labels are predicted from."""
        ...

    def latents_of(self, label: int) -> slice:
        """Which of them represent a label of the data set; all of them if the system does not know its labels."""
        ...


@runtime_checkable
class HasReference(EncodesFactors, Encodes, Protocol):
    """Learns from a reference set, whose images have the same characteristics, such as a neutral expression.

    Those of other images have the prior ``N(0, I)``.
    """

    @property
    def reference_characteristics(self) -> Float[Tensor, " own"]:
        """The characteristics of all images of the reference set."""
        ...


@runtime_checkable
class Reconstructs(Protocol):
    """Encodes and decodes images."""

    def reconstruct(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] decoded from the posterior mean."""
        ...


@runtime_checkable
class GeneratesFromLabels(Protocol):
    """Generates images with given labels."""

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] of a fresh latent sample for each row of labels."""
        ...


@runtime_checkable
class Intervenes(Protocol):
    """Changes one label of an image: the latents of all other labels, and the style, stay exactly the same.

    A system without latents for labels keeps exactly what it conditions on for the other labels.
    """

    def intervene(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """Mean images in [0, 1] in which the label has the given values; samples differ only in its characteristics."""
        ...


@runtime_checkable
class SwitchesAttribute(Protocol):
    """Shows only one label of an image: the attributes of all others are absent (``G_ij`` of Klys et al. 2018, 4.3)."""

    def switching_points(self, label: int, means: ClassMeans) -> Float[Tensor, "value point"]:
        """The points ``p`` of a label that follow from the means of a split (their section 5.4), a row per value."""
        ...

    def switch_attribute(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
        points: Float[Tensor, "value point"] | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """Mean images in [0, 1] with the label's given values and without the other labels' attributes.

        A system without places for labels moves the whole code from the image's value to the given one instead.
        ``points`` gives the point of each value in the label's latents; with them all samples are the same. Without,
        a system with ``HasLabelLatents`` samples them, and others raise ConfigError.
        """
        ...


@runtime_checkable
class FlipsClosest(Protocol):
    """Makes the smallest change to an image that flips the classifier's prediction of a label."""

    def flip_closest(
        self, image: UInt8[Tensor, "batch channel height width"], label: int
    ) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] with the closest latents that flip a binary label."""
        ...


@runtime_checkable
class SwapsCharacteristics(Protocol):
    """Transfers the characteristics of one image to another, exactly as encoded."""

    def swap(
        self,
        characteristics: UInt8[Tensor, "batch channel height width"],
        style: UInt8[Tensor, "batch channel height width"],
        labels: KnownLabels | None = None,
        style_labels: KnownLabels | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] with ``z_c`` of the first and ``z_s`` of the second image of each pair.

        ``labels`` are those of the first images, ``style_labels`` those of the second.
        """
        ...


@runtime_checkable
class Traverses(Protocol):
    """Moves an image from one value of a label to another; all else stays exactly the same."""

    def traverse(
        self,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        steps: int,
        *,
        start: int = 0,
        end: int = 1,
        labels: KnownLabels | None = None,
    ) -> Float[Tensor, "step batch channel height width"]:
        """Mean images in [0, 1]; the label's latents go from the typical point of one value to that of the other."""
        ...
