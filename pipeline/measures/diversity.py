"""Measure 7: which pixels vary when only the characteristics of one label are drawn again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int
    from torch import Tensor

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class Diversity:
    """Variance of each pixel over draws of one label's latents, all else fixed (figures 5 and 20 of Joy et al. 2021).

    Figure ``diversity``: for each label the variance next to the image. Where it is known which pixels a label may change,
    also the share of the variance in them, and their share of the image: what equal noise everywhere would have.
    """

    images: int = 64
    """Of the split, the first ones."""
    draws: int = 16
    """Of each label, at the value that the image has; at the value that the model reads if that is not known."""
    shown: int = 2
    """Images in the figure."""

    name: ClassVar[str] = "diversity"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Intervenes", "Classifies"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "diversity": Metric(unit="grey levels squared", better="none"),
        "variance_in_region": Metric(unit="share", better="higher"),
        "region_area": Metric(unit="share", better="none"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Means over labels and images, the numbers of each label, and the grid."""
        import numpy as np
        import torch

        image = view.first(self.images)
        known = view.examples.known_labels(0, len(image))
        given = view.known_labels(len(image))
        read = [found.argmax(1) for found in view.model.classify(image)]  # type: ignore[operator]
        labels = view.examples.data.manifest.labels
        inside = self._regions(view, len(image))
        variances, shares, areas = [], [], []
        for label in range(len(labels)):
            has = torch.where(known.observed[:, label], known.labels[:, label].long(), read[label]).byte()
            variances.append(self._variance(view.model, image, label, has, given))
            if inside is not None:
                share, area = variance_in_region(variances[-1], inside[label])
                shares.append(share)
                areas.append(area)
        in_grey_levels = [float(each.mean()) * 255**2 for each in variances]
        numbers = {"diversity": float(np.mean(in_grey_levels))}
        arrays = {
            "labels": np.array([label.name for label in labels], dtype=np.str_),
            "label_diversity": np.array(in_grey_levels),
        }
        if inside is not None:
            numbers["variance_in_region"] = (
                float(np.nanmean(shares)) if not np.isnan(shares).all() else np.nan
            )
            numbers["region_area"] = float(np.mean(areas))
            arrays |= {"label_variance_in_region": np.array(shares), "label_region_area": np.array(areas)}
            numbers = {name: value for name, value in numbers.items() if not np.isnan(value)}
        return Measured(
            numbers=numbers,
            counts=dict.fromkeys(numbers, len(image)),
            arrays=arrays | self._grid(view, image, variances),
        )

    def _variance(
        self, model: Any, image: Tensor, label: int, values: Tensor, known: Any
    ) -> Float[Tensor, "image height width"]:
        """Of each pixel over the draws, its mean over the channels."""
        drawn = model.intervene(image, label, values, self.draws, labels=known)
        found: Tensor = drawn.double().var(0).mean(1)
        return found

    def _regions(self, view: ModelView, count: int) -> Bool[Tensor, "label image height width"] | None:
        import torch

        data, split = view.examples.data, view.examples.split
        if not data.manifest.regions:
            return None
        regions = torch.from_numpy(data.column(split, "regions")[:count].astype("int64"))
        height, width = data.manifest.image_shape[1:]
        return mask_of(regions, height, width).transpose(0, 1).to(view.examples.device)

    def _grid(self, view: ModelView, image: Tensor, variances: list[Tensor]) -> dict[str, Any]:
        import torch

        from pipeline.measures.image_grid import as_arrays, grid_of

        shown = image[: self.shown].float() / 255
        most = torch.stack([each[: self.shown].flatten(1).max() for each in variances]).max().clamp(min=1e-12)
        rows = []
        for each in variances:
            strength = (each[: self.shown] / most).sqrt().float()[:, None].expand_as(shown)
            rows.append(torch.stack([shown, strength], dim=1).flatten(0, 1))
        names = [label.name for label in view.examples.data.manifest.labels]
        title = f"Standard deviation over {self.draws} draws of each label's characteristics (white: largest)"
        columns = ["image", "varies"] * len(shown)
        return as_arrays({"diversity": grid_of(torch.stack(rows), names, title, columns)})


def mask_of(
    regions: Int[Tensor, "*rows side"], height: int, width: int
) -> Bool[Tensor, "*rows height width"]:
    """Which pixels are inside left, upper, right and lower (the latter two exclusive)."""
    import torch

    left, upper, right, lower = (side[..., None, None] for side in regions.unbind(-1))
    y = torch.arange(height, device=regions.device)[:, None]
    x = torch.arange(width, device=regions.device)
    return (left <= x) & (x < right) & (upper <= y) & (y < lower)


def variance_in_region(
    variance: Float[Tensor, "image height width"], inside: Bool[Tensor, "image height width"]
) -> tuple[float, float]:
    """Mean share of an image's variance that is inside, and of its pixels; without variance anywhere the former is NaN."""
    in_all = variance.sum((1, 2))
    shares = (variance * inside).sum((1, 2))[in_all > 0] / in_all[in_all > 0]
    return float(shares.mean()), float(inside.double().mean())
