"""Measure 9: how far apart the posterior means of a label's latents are between images with different values of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentSeparation:
    """Wasserstein distance of a label's latents between two values of the label (Pilchen et al., figure 10).

    Of posterior means, in one dimension, as it is and divided by the pooled standard deviation, since the first depends on
    the scale of a latent. A label with several latents counts the farthest, a label of several values the mean of all pairs.
    It does not apply to a system that encodes images with known labels only, whose latents are apart by what is put in.
    """

    images: int = 10_000
    """Of the split, the first ones; the paper's figure has as many."""

    name: ClassVar[str] = "latent_separation"
    version: ClassVar[int] = 2
    """2: not for systems that encode images with known labels only."""
    needs: ClassVar[Needs] = Needs(
        capabilities=("EncodesFactors",),
        encoding_without_labels=True,
        columns=("labels",),
        answers=("label_latents",),
    )
    metrics: ClassVar[Mapping[str, Metric]] = {
        "latent_separation": Metric(unit="pooled standard deviations", better="higher"),
        "latent_separation_raw": Metric(unit="latent units", better="higher"),
    }

    def __call__(self, view: ModelView) -> Measured:
        """Means over labels, and the distances of each label; a label without two values in the split is left out."""
        import numpy as np

        examples = view.examples
        latents = view.label_latents[: self.images].double().numpy()
        labels = examples.data.manifest.labels
        distances = np.full((2, len(labels)), np.nan)
        counts = np.zeros(len(labels), dtype=np.int64)
        for label in range(len(labels)):
            known = examples.observed[: self.images, label]
            place: slice = view.model.latents_of(label)  # type: ignore[operator]
            own = latents[:, place][known]
            counts[label] = len(own)
            distances[:, label] = separation(own, examples.labels[: self.images, label][known])
        if np.isnan(distances).all():
            return Measured()
        scaled, raw = np.nanmean(distances, axis=1)
        numbers = {"latent_separation": float(scaled), "latent_separation_raw": float(raw)}
        return Measured(
            numbers=numbers,
            counts=dict.fromkeys(numbers, int(counts.max())),
            arrays={
                "labels": np.array([label.name for label in labels], dtype=np.str_),
                "separation": distances[0],
                "separation_raw": distances[1],
                "count": counts,
            },
        )


def separation(latents: np.ndarray, values: np.ndarray) -> tuple[float, float]:
    """Scaled and raw distance between latents (row, latent) of rows with different values; NaN if all have one value."""
    import numpy as np
    from scipy.stats import wasserstein_distance

    groups = [latents[values == value] for value in np.unique(values)]
    pairs = []
    for first, second in combinations(groups, 2):
        raw = np.array([wasserstein_distance(*each) for each in zip(first.T, second.T, strict=True)])
        within = sum(((group - group.mean(0)) ** 2).sum(0) for group in (first, second))
        pooled = np.sqrt(within / max(1, len(first) + len(second) - 2))
        # Two points have no spread: they are infinitely far apart, unless they are the same.
        scaled = np.divide(raw, pooled, out=np.where(raw > 0, np.inf, 0.0), where=pooled > 0)
        pairs.append((scaled.max(), raw.max()))
    if not pairs:
        return np.nan, np.nan
    scaled_mean, raw_mean = np.mean(pairs, axis=0)
    return float(scaled_mean), float(raw_mean)
