"""Capabilities by the algebra of latents: interventions, swaps, traversals and switches of one label.

Each class adds one capability to a system that has ``HasLabelLatents``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jaxtyping import Float, UInt8
from torch import Tensor

from pipeline.models.capabilities import Encodes, HasCentres, HasLabelLatents, KnownLabels
from pipeline.models.parts.latent_algebra import straight_path, swapped, traversal, with_latents


class IntervenesByLatents:
    """``Intervenes``: the label's part of the code is resampled."""

    def intervene(
        self: HasLabelLatents,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """Decoded codes with ``draw`` as the label's part; all else is exactly as in ``encode``."""
        code, own = self.encode(image, labels), self.draw(label, values, draws)
        return self.decode(with_latents(code, self.latents_of(label), own))


class HasCharacteristics(Encodes, Protocol):
    """A swap takes part of the code from one image, the rest from another."""

    @property
    def characteristics(self) -> Sequence[slice]:
        """The parts of the code that a swap takes from the first image."""
        ...


class SwapsByLatents:
    """``SwapsCharacteristics``: the codes of two images combined."""

    def swap(
        self: HasCharacteristics,
        characteristics: UInt8[Tensor, "batch channel height width"],
        style: UInt8[Tensor, "batch channel height width"],
        labels: KnownLabels | None = None,
        style_labels: KnownLabels | None = None,
    ) -> Float[Tensor, "batch channel height width"]:
        """Decode ``characteristics`` of the first and all else of the second image of each pair."""
        first, second = self.encode(characteristics, labels), self.encode(style, style_labels)
        return self.decode(swapped(first, second, self.characteristics))


class TraversesByLatents:
    """``Traverses``: the label's part of the code moves in a straight line from one centre to another."""

    def traverse(
        self: HasCentres,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        steps: int,
        *,
        start: int = 0,
        end: int = 1,
        labels: KnownLabels | None = None,
    ) -> Float[Tensor, "step batch channel height width"]:
        """Decoded codes along the path from the centre of ``start`` to that of ``end``; all else is as in ``encode``."""
        centres = self.centres(label)
        path = straight_path(centres[start], centres[end], steps)
        return self.decode(traversal(self.encode(image, labels), self.latents_of(label), path))


class HasAbsence(HasLabelLatents, Protocol):
    """Has codes in which no attribute is present."""

    def encode_without_attributes(
        self, image: UInt8[Tensor, "batch channel height width"], labels: KnownLabels | None = None
    ) -> Float[Tensor, "batch latent"]:
        """The code with the attributes of every label absent."""
        ...

    def at_points(
        self, label: int, values: UInt8[Tensor, " batch"], points: Float[Tensor, "value point"]
    ) -> Float[Tensor, "batch own"]:
        """The label's part of the code with its attributes at the points of the given values."""
        ...


class SwitchesByLatents:
    """The shared half of ``SwitchesAttribute``: one label in a code without all others."""

    def switch_attribute(
        self: HasAbsence,
        image: UInt8[Tensor, "batch channel height width"],
        label: int,
        values: UInt8[Tensor, " batch"],
        draws: int = 1,
        labels: KnownLabels | None = None,
        points: Float[Tensor, "value point"] | None = None,
    ) -> Float[Tensor, "draw batch channel height width"]:
        """``G_ij`` of section 4.3: decoded style with the label at its points, or at samples of it without points."""
        if points is None:
            own = self.draw(label, values, draws)
        else:
            own = self.at_points(label, values, points).expand(draws, -1, -1)
        code = self.encode_without_attributes(image, labels)
        return self.decode(with_latents(code, self.latents_of(label), own))
