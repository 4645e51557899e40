"""Images and what the decoder makes of their codes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionGrid:
    """Figure ``reconstructions``: the first images of the split above their reconstructions."""

    images: int = 12
    """Number of images, side by side."""

    name: ClassVar[str] = "reconstruction_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Reconstructs",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but a grid."""
        import torch

        from pipeline.measures.image_grid import as_arrays, grid_of

        image = view.first(self.images)
        decoded = view.model.reconstruct(image, view.known_labels(len(image)))  # type: ignore[operator]
        grid = grid_of(
            torch.stack([image.float() / 255, decoded]),
            ["image", "decoded"],
            f"{view.examples.split.capitalize()} images and their reconstructions",
        )
        return Measured(arrays=as_arrays({"reconstructions": grid}))
