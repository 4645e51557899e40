"""An image on the way from one value of a label to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from torch import Tensor

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class TraversalGrid:
    """Figures ``traversals*``: one image whose label's latents go from what is typical of one value to that of the next.

    Binary labels share a figure, a row for each; a label of several values has its own, a row from each value to the next.
    """

    steps: int = 9
    """Side by side, both ends included."""

    name: ClassVar[str] = "traversal_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Traverses",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids."""
        from itertools import pairwise

        import torch

        from pipeline.measures.image_grid import ImageGrid, as_arrays, grid_of
        from pipeline.measures.label_changes import binary_labels, figure_of, labels_of_several_values

        labels, split = view.examples.data.manifest.labels, view.examples.split
        one, known = view.first(1), view.known_labels(1)
        traverse: Any = view.model.traverse

        def way(label: int, start: int, end: int) -> Tensor:
            made = traverse(one, label, self.steps, start=start, end=end, labels=known)[:, 0]
            return torch.cat([one.float() / 255, made])

        shares = ["image", *(f"{step / (self.steps - 1):.0%}" for step in range(self.steps))]
        grids: dict[str, ImageGrid] = {}
        binary = binary_labels(labels)
        if binary:
            grids["traversals"] = grid_of(
                torch.stack([way(label, 0, 1) for label in binary]),
                [labels[label].name for label in binary],
                f"Traversals: one {split} image, each label's latents from off to on",
                shares,
            )
        for label in labels_of_several_values(labels):
            spec = labels[label]
            grids[figure_of(spec, "traversals")] = grid_of(
                torch.stack([way(label, start, end) for start, end in pairwise(range(spec.cardinality))]),
                [f"{start} to {end}" for start, end in pairwise(spec.values)],
                f"Traversals of the latents of {spec.name}",
                shares,
            )
        return Measured(arrays=as_arrays(grids))
