"""The characteristics of one image in the style of another (CCVAE figure 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class SwapGrid:
    """Figure ``swaps``: the characteristics of the image at the left in the style of the image above."""

    images: int = 8
    """In a row, and in a column."""

    name: ClassVar[str] = "swap_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("SwapsCharacteristics",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but a grid."""
        import torch

        from pipeline.measures.image_grid import as_arrays, grid_of

        image = view.first(self.images)
        count = len(image)
        left = torch.arange(count, device=image.device).repeat_interleave(count)
        above = torch.arange(count, device=image.device).repeat(count)
        known = view.known_labels(count)
        swapped = view.model.swap(  # type: ignore[operator]
            image[left],
            image[above],
            labels=None if known is None else known.of(left),
            style_labels=None if known is None else known.of(above),
        ).unflatten(0, (count, count))
        shown = image.float() / 255
        head = torch.cat([torch.ones_like(shown[:1]), shown])[None]
        grid = grid_of(
            torch.cat([head, torch.cat([shown[:, None], swapped], dim=1)]),
            ["style of", *["characteristics of"] * count],
            "Swaps: characteristics of the left image, style of the image above",
        )
        return Measured(arrays=as_arrays({"swaps": grid}))
