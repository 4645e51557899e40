"""What a model makes of an image when it shows one label alone (``G_ij`` of Klys et al. 2018, section 4.3)."""

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
class AttributeSwitchingGrid:
    """Figures ``attribute_switching*``: images with each value of each label alone, the other labels absent.

    They are laid out like interventions. Images are encoded with their known labels, and points are drawn, so that no means
    of a split are needed.
    """

    images: int = 4
    """Of the split, the first ones."""

    name: ClassVar[str] = "attribute_switching_grid"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("SwitchesAttribute", "HasLabelLatents"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids."""
        from pipeline.measures.image_grid import as_arrays
        from pipeline.measures.label_changes import all_of, each_value

        image, model = view.first(self.images), view.model
        known = view.examples.known_labels(0, self.images)

        def change(label: int, value: int) -> Tensor:
            switched: Any = model.switch_attribute(image, label, all_of(value, image), labels=known)  # type: ignore[operator]
            first: Tensor = switched[0]
            return first

        grids = each_value(view, self.images, change, "attribute_switching", "Attribute switching")
        return Measured(arrays=as_arrays(grids))
