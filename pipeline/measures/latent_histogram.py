"""Histograms of the posterior means of the labels' latents, by the value of the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from data_prep.manifest import LabelSpec
    from pipeline.measures.view import ModelView

BINS = 59
_LONGEST_TAIL = 0.001
"""Share of the images left out at each end of a histogram."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LatentHistogram:
    """Figure ``latent_histogram``: a panel for each latent of each label, separated by value; observed labels only."""

    latents_per_label: int = 10
    """Maximum number of latents shown per label."""

    name: ClassVar[str] = "latent_histogram"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("EncodesFactors",), columns=("labels",), answers=("label_latents",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = {}

    def __call__(self, view: ModelView) -> Measured:
        """No numbers, but counts: ``counts`` (panel, value, bin) between ``edges`` (panel, edge), with their names."""
        import numpy as np

        latents, examples = view.label_latents.numpy(), view.examples
        labels = examples.data.manifest.labels
        panels = [
            (label, place, title)
            for label, spec in enumerate(labels)
            for place, title in self._panels_of(spec, view.model.latents_of(label), latents.shape[1])  # type: ignore[operator]
        ]
        most = max(spec.cardinality for spec in labels)
        edges, counts = np.zeros((len(panels), BINS + 1)), np.zeros((len(panels), most, BINS), dtype=np.int64)
        for panel, (label, place, _) in enumerate(panels):
            known = examples.observed[:, label]
            edges[panel], found = counted(latents[known, place], examples.labels[known, label], most)
            counts[panel] = found
        names = [[*labels[label].values, *[""] * (most - labels[label].cardinality)] for label, *_ in panels]
        given = "" if view.known_labels(1) is None else ", encoded with their labels"
        title = (
            f"Posterior means of the labels' latents, by value of the label ({examples.split} images{given})"
        )
        return Measured(
            arrays={
                "edges": edges,
                "counts": counts,
                "panels": np.array([title for *_, title in panels], dtype=np.str_),
                "values": np.array(names, dtype=np.str_),
                "title": np.array(title),
            }
        )

    def _panels_of(self, spec: LabelSpec, own: slice, latents: int) -> Sequence[tuple[int, str]]:
        """Place and title of the latents of a label that are shown."""
        places = range(*own.indices(latents))
        if len(places) == 1:
            return [(places[0], spec.name)]
        titled = [(place, f"{spec.name} [{number}]") for number, place in enumerate(places)]
        return titled[: self.latents_per_label]


def counted(values: np.ndarray, classes: np.ndarray, cardinality: int) -> tuple[np.ndarray, np.ndarray]:
    """Edges of equal bins over all but the tails of the values, and the number in each bin by class (class, bin)."""
    import numpy as np

    low, high = np.quantile(values, [_LONGEST_TAIL, 1 - _LONGEST_TAIL]) if len(values) else (0.0, 1.0)
    edges = np.linspace(low, high, BINS + 1)
    counts = [np.histogram(values[classes == value], bins=edges)[0] for value in range(cardinality)]
    return edges, np.stack(counts)
