"""Measure 13: a person's picture with another expression, against a true one (Klys et al. 2018, 5.4, method 2, table 2)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.field_checks import check, check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor

    from pipeline.measures.view import ModelView
    from pipeline.models.capabilities import KnownLabels

PERSON = "identity"
"""The factor that says which person an image shows; negative if that is not known."""
COMPARED = ("target_minus_changed", "original_minus_changed", "target_minus_original")
"""The table's columns, in the order of the metrics."""


@dataclass(frozen=True, kw_only=True, slots=True)
class IdentityError:
    """Squared error, summed over pixels, between a picture switched to a label's value and one of that person that has it.

    Over all ordered pairs of pictures of one person with different values of a label. The points that are switched to
    minimise this error (``identity_mse``) on ``valid``: Adam begins at the system's own ones, from class means.
    ``identity_original_changed``: how far the switch goes; ``identity_target_original``: the error of changing nothing.
    """

    pairs: int = 5000
    """Of the split, chosen at random for each label; 0 for all."""
    fit_pairs: int = 500
    """Of ``valid``, likewise."""
    steps: int = 200
    """Of Adam; 0 takes the system's own points."""
    learning_rate: float = 0.05
    scale: float = 1.0
    """The value of white; errors grow with its square."""

    name: ClassVar[str] = "identity_error"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("SwitchesAttribute", "Encodes"), columns=("labels",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "identity_mse": Metric(unit="squared error", better="lower"),
        "identity_original_changed": Metric(unit="squared error", better="none"),
        "identity_target_original": Metric(unit="squared error", better="none"),
    }

    def __post_init__(self) -> None:
        check_at_least(0, self, "pairs", "steps")
        check_at_least(1, self, "fit_pairs")
        check(
            self.learning_rate > 0, f"{self.name}: learning_rate is {self.learning_rate}; it must be above 0"
        )
        check(self.scale > 0, f"{self.name}: scale is {self.scale}; it must be above 0")

    def __call__(self, view: ModelView) -> Measured:
        """Means over all pairs; arrays have the errors of each label."""
        import numpy as np
        import torch

        from pipeline.measures.switching_points import switching_points

        manifest = view.examples.data.manifest
        if PERSON not in manifest.factors:
            raise DoesNotApply(f"{manifest.name} does not say which images show the same person")
        if self.steps and "valid" not in manifest.splits:
            raise DoesNotApply(
                "there is no split valid to find the points on (steps=0 takes the system's own)"
            )
        cardinalities = [spec.cardinality for spec in manifest.labels]
        of_labels: dict[str, list[Tensor]] = {name: [] for name in self.metrics}
        measured = []
        for label, points in switching_points(view, cardinalities).items():
            pairs = self._pairs(view, label, self.pairs)
            if not len(pairs):
                continue
            best = self._fitted(view, label, points)
            parts = [self._errors(view.model, batch, label, best) for batch in _batches(view, label, pairs)]
            for name, errors in zip(of_labels, map(torch.cat, zip(*parts, strict=True)), strict=True):
                of_labels[name].append(errors.double().cpu() * self.scale**2)
            measured.append(manifest.labels[label].name)
        if not measured:
            raise DoesNotApply("no two images of the split show one person with two values of a label")
        numbers = {name: float(torch.cat(errors).mean()) for name, errors in of_labels.items()}
        count = sum(map(len, of_labels["identity_mse"]))
        arrays = {
            f"label_{name}": np.array([float(each.mean()) for each in errors])
            for name, errors in of_labels.items()
        }
        arrays |= {
            "labels": np.array(measured, dtype=np.str_),
            "compared": np.array(COMPARED, dtype=np.str_),
            "errors": np.array(list(numbers.values())),
        }
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, count), arrays=arrays)

    def _pairs(self, view: ModelView, label: int, most: int) -> np.ndarray:
        import torch

        from pipeline.measures.identity_pairs import identity_pairs

        examples = view.examples
        factors = examples.data.column(examples.split, "factors")
        persons = factors[:, examples.data.manifest.factors.index(PERSON)].astype("int64")
        found = identity_pairs(persons, examples.labels[:, label], examples.observed[:, label])
        return found[torch.randperm(len(found))[: most or len(found)].numpy()]

    def _fitted(self, view: ModelView, label: int, points: Tensor) -> Tensor:
        """The points with the smallest error on ``valid``; the given ones without pairs there."""
        from pipeline.measures.identity_pairs import best_points

        if not self.steps:
            return points
        on_valid = view.on("valid")
        pairs = self._pairs(on_valid, label, self.fit_pairs)
        batches = list(_batches(on_valid, label, pairs))

        def errors(points: Tensor) -> Iterator[Tensor]:
            for batch in batches:
                view.examples.heartbeat()
                yield self._errors(view.model, batch, label, points)[0].sum() / len(pairs)

        return best_points(points, errors, self.steps, self.learning_rate) if batches else points

    def _errors(
        self, model: Any, batch: tuple[Tensor, KnownLabels, Tensor, Tensor], label: int, points: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Target to changed, original to changed, and target to original, of each pair."""
        from pipeline.measures.identity_pairs import squared_errors
        from pipeline.measures.label_readers import as_pixels

        image, known, target, values = batch
        changed = model.switch_attribute(image, label, values, labels=known, points=points)[0]
        original, target = as_pixels(image), as_pixels(target)
        return (
            squared_errors(target, changed),
            squared_errors(original, changed),
            squared_errors(target, original),
        )


def _batches(
    view: ModelView, label: int, pairs: np.ndarray
) -> Iterator[tuple[Tensor, KnownLabels, Tensor, Tensor]]:
    """First images with what is known of them, second images, and their values of a label."""
    for start in range(0, len(pairs), view.examples.batch_size):
        view.examples.heartbeat()
        first, second = pairs[start : start + view.examples.batch_size].T
        image, known = view.examples.at(first)
        target, of_target = view.examples.at(second)
        yield image, known, target, of_target.labels[:, label]
