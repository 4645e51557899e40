"""Styles of attributes on many faces, and those of two attributes together (Klys et al. 2018, figures 5 to 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.field_checks import check, check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Float
    from torch import Tensor

    from pipeline.measures.image_grid import ImageGrid
    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class AttributeStyles:
    """Figures ``attribute_styles_*`` and ``attribute_products``: latents of images with a label, put on other images.

    A style is the posterior mean, in a label's latents, of an image that has the label. Those images are taken that are far
    from each other: the one farthest from the mean of all with the label, then the one farthest from all that are taken.
    ``attribute_styles_<label>`` has a row per image and a column per style, under the image that it is of;
    ``attribute_products``, if there are two labels, has for each image all pairs of their styles. Only binary labels.
    """

    images: int = 6
    """Of the split, the first ones, which are shown with the styles."""
    styles: int = 3
    """Of each label."""
    points: int = 2000
    """Images of the split that are encoded, the first ones; styles are of these."""

    name: ClassVar[str] = "attribute_styles"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("HasLabelLatents", "EncodesFactors"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __post_init__(self) -> None:
        check_at_least(1, self, "images", "styles")
        check(
            self.points >= self.images,
            f"{self.name}: points is {self.points}; it must be at least images, {self.images}",
        )

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but grids."""
        from pipeline.measures.image_grid import as_arrays
        from pipeline.measures.label_changes import binary_labels, figure_of

        specs = view.examples.data.manifest.labels
        codes = view.codes_with_known_labels(self.points)
        taken = {}
        for label in binary_labels(specs):
            has = view.examples.observed[: len(codes), label] & (
                view.examples.labels[: len(codes), label] == 1
            )
            rows = has.nonzero()[0]
            if len(rows):
                place = view.model.latents_of(label)  # type: ignore[operator]
                taken[label] = rows[far_apart(codes[rows][:, place], self.styles)]
        if not taken:
            raise DoesNotApply("no image of the split has a binary label")
        grids = {
            figure_of(specs[label], "attribute_styles"): self._styles(view, codes, label, rows)
            for label, rows in taken.items()
        }
        if len(taken) == 2:  # of more labels there would be too many
            (first, one), (second, other) = taken.items()
            grids["attribute_products"] = self._products(view, codes, (first, second), (one, other))
        return Measured(arrays=as_arrays(grids))

    def _styles(self, view: ModelView, codes: Tensor, label: int, rows: Any) -> ImageGrid:
        """The images that the styles are of in the first row."""
        import torch

        from pipeline.measures.image_grid import grid_of

        model: Any = view.model
        place = model.latents_of(label)
        columns = [_with_latents(codes[: self.images], place, codes[row, place]) for row in rows]
        shown = _shown(view, codes[: self.images])
        switched = _decoded(view, torch.stack(columns, dim=1))
        of_styles = torch.stack([view.examples.rows(row, row + 1)[0].float() / 255 for row in rows.tolist()])
        head = torch.cat([torch.ones_like(shown[0]), of_styles])[None]
        name = view.examples.data.manifest.labels[label].name
        return grid_of(
            torch.cat([head, torch.cat([shown, switched], dim=1)]),
            ["style of", *[f"{view.examples.split} image {number + 1}" for number in range(len(shown))]],
            f"Styles of {name}: the latents of the image above, all else of the left image",
            ["image", "decoded", *[f"style {number + 1}" for number in range(len(rows))]],
        )

    def _products(
        self, view: ModelView, codes: Tensor, labels: tuple[int, int], rows: tuple[Any, Any]
    ) -> ImageGrid:
        """Columns: the image, its reconstruction, and every style of the first label with each of the second."""
        import torch

        from pipeline.measures.image_grid import grid_of

        model: Any = view.model
        (first, second), specs = labels, view.examples.data.manifest.labels
        columns, names = [], []
        for one, row in enumerate(rows[0]):
            for other, column in enumerate(rows[1]):
                place, further = model.latents_of(first), model.latents_of(second)
                code = _with_latents(codes[: self.images], place, codes[row, place])
                columns.append(_with_latents(code, further, codes[column, further]))
                names.append(f"{one + 1}, {other + 1}")
        shown = _shown(view, codes[: self.images])
        return grid_of(
            torch.cat([shown, _decoded(view, torch.stack(columns, dim=1))], dim=1),
            [f"{view.examples.split} image {number + 1}" for number in range(len(shown))],
            f"Styles of {specs[first].name} (first number) with styles of {specs[second].name}",
            ["image", "decoded", *names],
        )


def far_apart(points: Float[Tensor, "row latent"], count: int) -> list[int]:
    """Rows far from each other: the one farthest from the mean, then the one farthest from all that are taken."""
    import torch

    taken = [int((points - points.mean(0)).norm(dim=1).argmax())]
    while len(taken) < min(count, len(points)):
        taken.append(int(torch.cdist(points, points[taken]).amin(1).argmax()))
    return taken


def _with_latents(codes: Tensor, place: slice, latents: Tensor) -> Tensor:
    from pipeline.models.parts.latent_algebra import with_latents

    return with_latents(codes, place, latents.expand(len(codes), -1))


def _decoded(view: ModelView, codes: Float[Tensor, "row column latent"]) -> Tensor:
    model: Any = view.model
    pictures: Tensor = model.decode(codes.to(view.examples.device))
    return pictures


def _shown(
    view: ModelView, codes: Float[Tensor, "row latent"]
) -> Float[Tensor, "row 2 channel height width"]:
    """The first images, and what their codes are decoded to."""
    import torch

    return torch.stack([view.first(len(codes)).float() / 255, _decoded(view, codes[:, None])[:, 0]], dim=1)
