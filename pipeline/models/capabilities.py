"""What a system can do with images, each capability with its contract; a test holds every system to those it claims.

A *code* is all that a decoder is given for an image: the latents of the labels first, label by label, then the style.
Known labels may be handed in everywhere; a system whose encoder sees no labels takes no notice of them.
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
    """What is known of the labels of some images."""

    labels: UInt8[Tensor, "batch label"]
    observed: Bool[Tensor, "batch label"]
    """What stands in ``labels`` where this is false means nothing."""

    @classmethod
    def all_of(cls, labels: UInt8[Tensor, "batch label"]) -> KnownLabels:
        """Every label of every image."""
        return cls(labels, torch.ones_like(labels, dtype=torch.bool))

    def of(self, rows: Int64[Tensor, " row"]) -> KnownLabels:
        """Those of some of the images, in this order."""
        return KnownLabels(self.labels[rows], self.observed[rows])


@dataclass(frozen=True, slots=True)
class ClassMeans:
    """The mean code of the images that have a value of a label (``pipeline.models.parts.class_means`` computes it)."""

    means: tuple[Float[Tensor, "_ latent"], ...]
    """Of each label, a row per value; zeros where no image has it."""
    counts: tuple[Float[Tensor, " _"], ...]
    """Number of images behind each row."""

    def of(self, label: int) -> Float[Tensor, "value latent"]:
        """A row per value of a label; ConfigError where a value has no image."""
        missing = (self.counts[label] == 0).nonzero()
        if len(missing):
            raise ConfigError(
                f"no image with value {int(missing[0])} of label {label} is known, so it has no mean code"
            )
        return self.means[label]


@runtime_checkable
class NeedsLabels(Protocol):
    """Its encoder is told labels, and may not have learned to do without them."""

    @property
    def needs_labels(self) -> bool:
        """Whether ``encode``, and what rests on it, raises ConfigError where no known labels are handed in."""
        ...


def labels_if_needed(model: object, known: KnownLabels) -> KnownLabels | None:
    """The known labels for a model that cannot encode without any; None for one that is to do without."""
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
    """Is a generative model of images whose likelihood has a bound that can be computed; a classifier is none."""

    @property
    def has_pixel_density(self) -> bool:
        """Whether ``log p(x)`` is that of a density of pixels, where black is 0 and white 1.

        It is none where grey pixels count as probabilities of a Bernoulli variable, as in the papers for MNIST.
        """
        ...

    def log_likelihood_bound(self, batch: Batch) -> Float[Tensor, " batch"]:
        """A lower bound of ``log p(x)`` in nats; of ``log p(x, y)`` with the labels that the batch observes."""
        ...


@runtime_checkable
class Encodes(Protocol):
    """Has a code for an image, and an image for a code."""

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
    """Has a place of its own for each label in the code: its latents, or the label itself where the decoder is told it.

    What the label's place holds is the label's alone, so that interventions, swaps and traversals are functions of codes
    (``pipeline.models.parts.latent_algebra``).
    """

    def latents_of(self, label: int) -> slice:
        """The place of a label of the data set; places of different labels do not overlap."""
        ...

    def draw(
        self, label: int, values: UInt8[Tensor, " batch"], draws: int
    ) -> Float[Tensor, "draw batch own"]:
        """What may stand in the label's place where it has the given values: fresh draws, or the value itself each time."""
        ...


@runtime_checkable
class HasCentres(HasLabelLatents, Protocol):
    """Knows what is typical of each value of a label: the ends of traversals, the corners of grids and polytopes."""

    def centres(self, label: int) -> Float[Tensor, "value own"]:
        """A row of the label's latents per value."""
        ...


@runtime_checkable
class EncodesFactors(Protocol):
    """Has latents that stand for the labels: they lead the code, and vary among images of the same labels."""

    def characteristic_latents(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """Posterior mean of the latents that the labels are read from."""
        ...

    def latents_of(self, label: int) -> slice:
        """Which of them stand for a label of the data set."""
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
    """Draws images that have given labels."""

    def generate(self, labels: UInt8[Tensor, "batch label"]) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] of a fresh latent draw for each row of labels."""
        ...


@runtime_checkable
class Intervenes(Protocol):
    """Changes one label of an image: the latents of all other labels, and the style, stay exactly as they are.

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
        """Mean images in [0, 1] in which the label has the given values; draws differ in its characteristics alone."""
        ...


@runtime_checkable
class SwitchesAttribute(Protocol):
    """Shows one label of an image alone: the attributes of all others are absent (``G_ij`` of Klys et al. 2018, 4.3)."""

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
        """Mean images in [0, 1] that have the label's given values and nothing of the other labels.

        ``points`` says where in the label's latents each of its values lies; with them all draws are the same. Without,
        they are drawn by a system that has ``HasLabelLatents``, and others raise ConfigError.
        """
        ...


@runtime_checkable
class FlipsClosest(Protocol):
    """Changes an image as little as makes the classifier change its mind about a label."""

    def flip_closest(
        self, image: UInt8[Tensor, "batch channel height width"], label: int
    ) -> Float[Tensor, "batch channel height width"]:
        """Mean image in [0, 1] with the closest latents that flip a binary label."""
        ...


@runtime_checkable
class SwapsCharacteristics(Protocol):
    """Puts the characteristics of one image into another, exactly as they are in the latents of each."""

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
    """Leads an image from one value of a label to another; all else stays exactly as it is."""

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
        """Mean images in [0, 1]; the label's latents go from what is typical of one value to what is of the other."""
        ...
