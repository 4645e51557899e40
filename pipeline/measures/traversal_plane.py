"""Measure 8, second part: an image over a plane of latents: of two binary labels, or between four classes of one label."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least
from pipeline.measures.measure import Measured, Metric
from pipeline.measures.named_labels import positions_named
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pipeline.measures.image_grid import ImageGrid
    from pipeline.measures.view import ModelView

DRAWS = 1000
"""Samples that the spread of a label's latents is estimated from."""


@dataclass(frozen=True, kw_only=True, slots=True)
class TraversalPlane:
    """Figures ``traversal_plane*``: continuous changes of two binary labels at once, and between four classes of a label.

    As figures 3 and 21 of Joy et al. 2021. The latents of a binary label go in a straight line through what is typical of
    its two values, from ``reach`` standard deviations of ``p(z | y)`` below the one to as many above the other. The plane
    between four classes has their centres as corners.
    """

    labels: str = ""
    """Two binary labels joined by `+`, such as `Smiling+Male`; the default is the first two."""
    classes: str = ""
    """Four values of a label of several values joined by `+`; the default is its first four."""
    reach: float = 2.0
    """Standard deviations beyond the typical values."""
    steps: int = 7
    """In each direction."""
    image: int = 0
    """Which image of the split."""

    name: ClassVar[str] = "traversal_plane"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("HasCentres",), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __post_init__(self) -> None:
        check_at_least(2, self, "steps")
        check_at_least(0, self, "image")

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids.

        Raises:
            ConfigError: the split has no such image, or the data set no such label or value.
        """
        from pipeline.measures.image_grid import as_arrays
        from pipeline.measures.label_changes import binary_labels, figure_of, labels_of_several_values
        from pipeline.models.capabilities import labels_if_needed

        if self.image >= len(view.examples):
            raise ConfigError(
                f"{self.name}: image is {self.image}; split {view.examples.split} has {len(view.examples)} images"
            )
        known = view.examples.known_labels(self.image, self.image + 1)
        model: Any = view.model
        code = model.encode(view.examples.rows(self.image, self.image + 1), labels_if_needed(model, known))
        labels = view.examples.data.manifest.labels
        grids: dict[str, ImageGrid] = {}
        binary = binary_labels(labels)
        names = [label.name for label in labels]
        if self.labels:
            binary = positions_named(self.labels, names, f"{self.name}: labels", 2)
            unfit = [names[place] for place in binary if labels[place].cardinality != 2]
            if unfit:
                raise ConfigError(f"{self.name}: labels names {unfit[0]}, which is not binary")
        if len(binary) > 1:
            down, across = binary[:2]
            grids["traversal_plane"] = self._of_two_labels(
                view, code, (names[down], down), (names[across], across)
            )
        for label in labels_of_several_values(labels):
            spec = labels[label]
            if spec.cardinality >= 4:
                chosen = [0, 1, 2, 3]
                if self.classes:
                    chosen = positions_named(self.classes, spec.values, f"{self.name}: classes", 4)
                grids[figure_of(spec, self.name)] = self._between_classes(view, code, label, chosen)
        return Measured(arrays=as_arrays(grids))

    def _of_two_labels(
        self, view: ModelView, code: Tensor, down: tuple[str, int], across: tuple[str, int]
    ) -> ImageGrid:
        from pipeline.measures.image_grid import grid_of
        from pipeline.models.parts.latent_algebra import grid

        model: Any = view.model
        paths = [(model.latents_of(label), self._path(model, label)) for _, label in (down, across)]
        images = model.decode(grid(code, *paths))[:, :, 0]
        ends = f"{self.reach:g} standard deviations beyond what is typical of off and on"
        title = f"{down[0]} (off above, on below) and {across[0]} (off left, on right), to {ends}"
        return grid_of(images, [""] * self.steps, title)

    def _path(self, model: Any, label: int) -> Float[Tensor, "step own"]:
        """Through the centres of off and on, and ``reach`` standard deviations beyond."""
        import torch

        from pipeline.models.parts.latent_algebra import straight_path

        off, on = model.centres(label)
        direction = torch.nn.functional.normalize(on - off, dim=0)
        ends = []
        for value, centre, sign in ((0, off, -1), (1, on, 1)):
            drawn = model.draw(label, torch.tensor([value], dtype=torch.uint8, device=off.device), DRAWS)
            spread = (drawn[:, 0] @ direction).std()
            ends.append(centre + sign * self.reach * spread * direction)
        return straight_path(ends[0], ends[1], self.steps)

    def _between_classes(self, view: ModelView, code: Tensor, label: int, classes: list[int]) -> ImageGrid:
        from pipeline.measures.image_grid import grid_of
        from pipeline.models.parts.latent_algebra import surface, with_latents

        model: Any = view.model
        corners = model.centres(label)[classes].unflatten(0, (2, 2))
        points = surface(corners, self.steps, self.steps)[:, :, None]
        images = model.decode(with_latents(code, model.latents_of(label), points))[:, :, 0]
        spec = view.examples.data.manifest.labels[label]
        first, second, third, fourth = (spec.values[value] for value in classes)
        title = f"{spec.name}: {first} and {second} above, {third} and {fourth} below"
        return grid_of(images, [""] * self.steps, title)
