"""Images generated from labels alone."""

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
class GenerationGrid:
    """Figure ``conditional_generations``: a row per value of a single label; for several, a row per label off and on.

    With several labels a sample has those of an image of the split, except for the row's own label. Every row has
    the same random draws, so that two rows differ in their label alone.
    """

    draws: int = 12
    """Side by side."""

    name: ClassVar[str] = "generation_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("GeneratesFromLabels",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but a grid."""
        import torch

        from pipeline.measures.image_grid import as_arrays, grid_of

        labels, split = view.examples.data.manifest.labels, view.examples.split
        places = [(label, value) for label, spec in enumerate(labels) for value in range(spec.cardinality)]
        if len(labels) == 1:
            names = list(labels[0].values)
            given = torch.zeros(self.draws, 1, dtype=torch.uint8, device=view.examples.device)
            title = f"Generated from {labels[0].name} alone, {self.draws} draws each"
        else:
            names = [f"{labels[label].name}: {labels[label].values[value]}" for label, value in places]
            given = view.examples.known_labels(0, self.draws).labels
            title = f"Generated from the labels of {split} images (columns) with one label changed"
        rows = torch.stack([_generated(view.model, given, *place) for place in places])
        return Measured(arrays=as_arrays({"conditional_generations": grid_of(rows, names, title)}))


def _generated(model: Any, labels: Tensor, label: int, value: int) -> Tensor:
    """Images with these labels, one of them changed; the next call has the same random draws."""
    import torch

    changed = labels.clone()
    changed[:, label] = value
    with torch.random.fork_rng([labels.device] if labels.device.type == "cuda" else []):
        images: Tensor = model.generate(changed)
    return images
