"""What a model makes of an image when a label of it is set to another value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.image_grid import ImageGrid
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class InterventionGrid:
    """Figures ``interventions*`` and ``intervention_draws``: images, and next to each what it becomes with each value.

    Binary labels share a figure, a row for each; a label of several values has its own. ``intervention_draws`` shows one
    image with several draws of each binary label's characteristics.
    """

    images: int = 4
    """Of the split, the first ones."""
    draws: int = 5
    """Of each value of a binary label."""

    name: ClassVar[str] = "intervention_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Intervenes",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids."""
        from pipeline.measures.image_grid import as_arrays
        from pipeline.measures.label_changes import all_of, each_value

        image, known, model = view.first(self.images), view.known_labels(self.images), view.model

        def change(label: int, value: int) -> Tensor:
            changed: Any = model.intervene(image, label, all_of(value, image), labels=known)  # type: ignore[operator]
            first: Tensor = changed[0]
            return first

        grids = each_value(view, self.images, change, "interventions", "Interventions")
        return Measured(arrays=as_arrays(grids | self._draws_of_one_image(view)))

    def _draws_of_one_image(self, view: ModelView) -> dict[str, ImageGrid]:
        import torch

        from pipeline.measures.image_grid import grid_of
        from pipeline.measures.label_changes import all_of, binary_labels, unchanged

        labels, split = view.examples.data.manifest.labels, view.examples.split
        binary = binary_labels(labels)
        if not binary:
            return {}
        image, known, model = view.first(1), view.known_labels(1), view.model
        names, before = unchanged(view, 1)
        rows = []
        for label in binary:
            draws = [
                model.intervene(image, label, all_of(value, image), self.draws, labels=known)[:, 0]  # type: ignore[operator]
                for value in (0, 1)
            ]
            rows.append(torch.cat([*before, *draws]))
        grid = grid_of(
            torch.stack(rows),
            [labels[label].name for label in binary],
            f"Interventions: one {split} image, {self.draws} draws of each label's characteristics, off and on",
            [*names, *["off"] * self.draws, *["on"] * self.draws],
        )
        return {"intervention_draws": grid}
