"""Measure 14: what the latents of each label look like, and the images decoded from their points (Klys et al. 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.measures.image_grid import ImageGrid
    from pipeline.measures.subspace_planes import Plane
    from pipeline.measures.view import ModelView

SMALLEST_PICTURE = 8
"""Height and width of images that a grid is shown of; the points of the swiss roll are smaller."""


@dataclass(frozen=True, kw_only=True, slots=True)
class SubspaceViews:
    """Figures ``subspace_views`` and ``subspace_grid*``: posterior means in each label's latents, and decoded points.

    As figures 2 to 4 and 7 to 11 of Klys et al. 2018. Images are encoded with their known labels. A label with more than
    two latents is seen in their first two principal components, one with a single latent is left out. A grid shows one
    image decoded at points around the mean of the images with the label, to ``reach`` standard deviations in each
    direction. If the style has two latents, as for the swiss roll, its plane and that of its second and the label's
    first are views too.
    """

    points: int = 2000
    """Images of the split that are encoded, the first ones."""
    image: int = 0
    """Which of them is decoded."""
    steps: int = 7
    """In each direction."""
    reach: float = 2.0
    """Standard deviations from the mean."""

    name: ClassVar[str] = "subspace_views"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("HasLabelLatents", "EncodesFactors"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __post_init__(self) -> None:
        check_at_least(1, self, "points")
        check_at_least(2, self, "steps")
        check_at_least(0, self, "image", "reach")

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but ``points`` (view, image, 2) with their ``values``, ``grid_points`` (view, point, 2), and grids.

        Raises:
            ConfigError: the split has no such image.
        """
        import numpy as np

        from pipeline.measures.image_grid import as_arrays
        from pipeline.measures.subspace_planes import Plane

        codes = view.codes_with_known_labels(self.points)
        if self.image >= len(codes):
            raise ConfigError(
                f"{self.name}: image is {self.image}; split {view.examples.split} has {len(codes)} images"
            )
        model: Any = view.model
        labels = view.examples.data.manifest.labels
        observed, values = view.examples.observed[: len(codes)], view.examples.labels[: len(codes)]
        places = [model.latents_of(label) for label in range(len(labels))]
        views: list[tuple[str, int, Tensor]] = []
        grid_points: dict[int, Tensor] = {}
        grids: dict[str, ImageGrid] = {}
        for label, place in enumerate(places):
            known = observed[:, label].nonzero()[0]
            own = codes[:, place]
            if own.shape[1] < 2 or len(known) < 2:
                continue
            plane = Plane.of(own[known])
            grids |= self._grids(view, codes, label, plane, grid_points, len(views))
            kind = "" if own.shape[1] == 2 else ", principal components"
            views.append((f"{labels[label].name}{kind}", label, plane.coordinates(own)))
        style = _style(places, codes.shape[1])
        if len(style) == 2 and places[0].stop > places[0].start:
            views.append(("Z", 0, codes[:, style]))
            views.append(("z2, w1", 0, codes[:, [style[1], places[0].start]]))
        if not views:
            raise DoesNotApply("no label has two latents")
        most = max(len(each) for each in grid_points.values()) if grid_points else 0
        in_grids = np.full((len(views), most, 2), np.nan, dtype=np.float32)
        for number, each in grid_points.items():
            in_grids[number, : len(each)] = each
        shown = np.array([label for _, label, _ in views])
        found = np.where(observed[:, shown], values[:, shown].astype(np.int64), -1).T
        return Measured(
            arrays={
                "points": np.stack([each.numpy() for *_, each in views]),
                "values": found,
                "grid_points": in_grids,
                "views": np.array([name for name, *_ in views], dtype=np.str_),
                "value_names": _value_names([labels[label].values for label in shown]),
                "title": np.array(f"Posterior means of {len(codes)} {view.examples.split} images"),
                **as_arrays(grids),
            }
        )

    def _grids(
        self,
        view: ModelView,
        codes: Tensor,
        label: int,
        plane: Plane,
        grid_points: dict[int, Tensor],
        number: int,
    ) -> dict[str, ImageGrid]:
        """A grid for each value of a label but the absence of a binary one; their points go to ``grid_points``."""
        import torch

        from pipeline.measures.image_grid import grid_of
        from pipeline.measures.label_changes import figure_of
        from pipeline.models.parts.latent_algebra import with_latents

        if min(view.examples.data.manifest.image_shape[1:]) < SMALLEST_PICTURE:
            return {}
        model: Any = view.model
        spec, place = view.examples.data.manifest.labels[label], model.latents_of(label)
        observed, values = (
            view.examples.observed[: len(codes), label],
            view.examples.labels[: len(codes), label],
        )
        grids, shown = {}, []
        for value in [1] if spec.cardinality == 2 else range(spec.cardinality):
            rows = (observed & (values == value)).nonzero()[0]
            if len(rows) < 2:
                continue
            points = plane.grid(codes[rows, place], self.reach, self.steps)
            shown.append(plane.coordinates(points).flatten(0, 1))
            code = codes[self.image].expand(self.steps, self.steps, -1)
            images = model.decode(with_latents(code, place, points).to(view.examples.device))
            name = f"{figure_of(spec, 'subspace_grid')}{'' if spec.cardinality == 2 else f'_{value}'}"
            which = spec.name if spec.cardinality == 2 else f"{spec.name}: {spec.values[value]}"
            title = f"{which}: one image at points to {self.reach:g} standard deviations from the mean"
            grids[name] = grid_of(images, [""] * self.steps, title)
        if shown:
            grid_points[number] = torch.cat(shown)
        return grids


def _style(places: list[slice], latents: int) -> list[int]:
    """Positions in the code that belong to no label."""
    own = {position for place in places for position in range(*place.indices(latents))}
    return [position for position in range(latents) if position not in own]


def _value_names(names: list[tuple[str, ...]]) -> np.ndarray:
    """(view, value), filled up with empty names."""
    import numpy as np

    most = max(map(len, names))
    return np.array([[*each, *[""] * (most - len(each))] for each in names], dtype=np.str_)
