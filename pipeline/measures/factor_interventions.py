"""Measure 18, first part: whether an intervention moves what a label is made of, in pictures drawn from known factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs
from pipeline.measures.reader_metrics import judged_by_readers, with_readers

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from pipeline.measures.factor_reading import RidgeReading
    from pipeline.measures.view import ModelView

TIED = 0.5
"""Smallest correlation of a label with its own factor; factors that are as much tied to it are not among the others."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FactorInterventions:
    """How far the factor that a binary label is made of moves when the label is switched, and how far other factors do.

    A label's own factor is the one with the largest correlation with it in ``train``, at least 0.5; some labels have none.
    Factors are read from pictures by regressions on the label readers' features and coarse pixels, fitted on ``train``; a
    factor with an R² below ``least_r2`` on the measured split counts as not readable. ``own_factor_moved_…`` is a share of
    the true difference between images with and without the label: 1 is ideal, 0 is no change;
    ``own_factor_moved_by_nature`` is the same of real images with the label instead of others, what a perfect
    intervention would score with these regressions. ``other_factors_moved``: mean absolute change of the other readable
    factors in their standard deviations, 0 is ideal. The reference is the image decoded with the label at the value that
    the readers see in it.
    """

    images: int = 1000
    """Of the split, chosen at random; 0 for all."""
    fit_images: int = 6000
    """Of ``train``, that the regressions are fitted on; half as many of ``valid`` choose their regularisation."""
    least_r2: float = 0.5
    """Of a factor that counts as readable."""

    name: ClassVar[str] = "factor_interventions"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(
        capabilities=("Intervenes",), columns=("labels", "factors"), extras=("label_readers",)
    )
    metrics: ClassVar[Mapping[str, Metric]] = with_readers(
        {
            "own_factor_moved_on": Metric(unit="share", better="higher"),
            "own_factor_moved_off": Metric(unit="share", better="higher"),
            "own_factor_moved_by_nature": Metric(unit="share", better="none"),
            "other_factors_moved": Metric(unit="standard deviations", better="lower"),
            "own_factor_r2": Metric(unit="share", better="higher"),
        }
    )

    def __post_init__(self) -> None:
        check_at_least(2, self, "fit_images")
        check_at_least(0, self, "images", "least_r2")

    def __call__(self, view: ModelView) -> Measured:
        """Numbers are means over labels; arrays have those of each label, and the change of every factor."""
        import numpy as np
        import torch

        from pipeline.measures.factor_changes import FactorsSeen, factor_summary, own_factors
        from pipeline.measures.factor_reading import correlations
        from pipeline.measures.label_changes import binary_labels

        data = view.examples.data
        binary = binary_labels(data.manifest.labels)
        if not binary:
            raise DoesNotApply("no label is binary")
        if "valid" not in data.manifest.splits:
            raise DoesNotApply("there is no split valid to choose the regularisation on")
        train = view.on("train").examples
        of_train = torch.from_numpy(data.column("train", "factors").astype("float32"))
        tied = correlations(
            torch.from_numpy(train.labels[:, binary]), torch.from_numpy(train.observed[:, binary]), of_train
        )
        own = own_factors(tied, TIED)
        if bool((own < 0).all()):
            raise DoesNotApply("no binary label is tied to a single factor")
        readings = _readings(view, self.fit_images)
        chosen = view.examples.random_rows(self.images or len(view.examples))
        if not len(chosen):
            raise DoesNotApply("the split has no images")
        truth = torch.from_numpy(data.column(view.examples.split, "factors")[chosen].astype("float32"))
        places = [place for place in range(len(binary)) if own[place] >= 0]
        found = FactorsSeen(
            truth=truth,
            labels=torch.from_numpy(view.examples.labels[chosen][:, binary]),
            observed=torch.from_numpy(view.examples.observed[chosen][:, binary]),
            means=_class_means(train.labels[:, binary], train.observed[:, binary], of_train),
            deviations=of_train.double().std(0).float(),
            **_seen(view, chosen, readings, binary, places),
        )
        summary = factor_summary(found, own, tied.abs() >= TIED, self.least_r2)
        factors = np.array(data.manifest.factors, dtype=np.str_)
        named = np.where(own.numpy() >= 0, factors[own.numpy()], "")
        labels = np.array([data.manifest.labels[label].name for label in binary], dtype=np.str_)
        return judged_by_readers(summary, view, labels=labels, own_factors=named, factors=factors)


def _readings(view: ModelView, count: int) -> list[Callable[[Tensor], Tensor]]:
    """Of each judge, the factors (row, factor) read from pictures' features."""
    import torch

    from pipeline.measures.factor_reading import columns_of_judges, ridge_readings

    parts = {}
    for split, most in (("train", count), ("valid", count // 2)):
        examples = view.on(split).examples
        rows = min(most, len(examples))
        features = [
            _features(view, examples.rows(start, min(start + examples.batch_size, rows)))
            for start in range(0, rows, examples.batch_size)
        ]
        factors = view.examples.data.column(split, "factors")[:rows].astype("float32")
        parts[split] = torch.cat(features), torch.from_numpy(factors).to(features[0].device)
    members, _, size = view.readers.features(view.first(1).float() / 255).shape
    judges = columns_of_judges(members, size, parts["train"][0].shape[1])
    readings: list[RidgeReading] = ridge_readings(parts["train"], parts["valid"], judges)
    return [*readings]


def _features(view: ModelView, image: Tensor) -> Tensor:
    from pipeline.measures.factor_reading import picture_features
    from pipeline.measures.label_readers import as_pixels

    view.examples.heartbeat()
    return picture_features(
        view.readers.features, as_pixels(image) if not image.is_floating_point() else image
    )


def _seen(
    view: ModelView,
    chosen: Any,
    readings: list[Callable[[Tensor], Tensor]],
    binary: list[int],
    places: list[int],
) -> dict[str, Tensor]:
    """What is read before and after each intervention, and in the images themselves."""
    import torch

    from pipeline.measures.intervened import intervened_pair
    from pipeline.measures.judged import judged, values_read
    from pipeline.measures.label_readers import as_pixels
    from pipeline.models.capabilities import labels_if_needed

    examples, model = view.examples, view.model

    def read(picture: Tensor) -> Tensor:
        features = _features(view, picture)
        return torch.stack([each(features) for each in readings]).cpu()

    parts: dict[str, list[Tensor]] = {"given": [], "in_image": [], "before": [], "after": []}
    for start in range(0, len(chosen), examples.batch_size):
        image, known = examples.at(chosen[start : start + examples.batch_size])
        labels = labels_if_needed(model, known)
        value = values_read(judged(view.readers, as_pixels(image)))[0][:, binary]
        parts["given"].append(1 - value.cpu())
        parts["in_image"].append(read(image))
        shape = (len(readings), len(image), len(binary), parts["in_image"][-1].shape[-1])
        before, after = torch.full(shape, torch.nan), torch.full(shape, torch.nan)
        for place in places:
            pair = intervened_pair(model, image, binary[place], value[:, place], 1 - value[:, place], labels)
            before[:, :, place], after[:, :, place] = map(read, pair)
        parts["before"].append(before)
        parts["after"].append(after)
    return {name: torch.cat(each, dim=0 if name == "given" else 1) for name, each in parts.items()}


def _class_means(labels: Any, observed: Any, factors: Tensor) -> Tensor:
    """Means of every factor in images without and with each binary label: (label, value, factor)."""
    import torch

    known, on = torch.from_numpy(observed), torch.from_numpy(labels).bool()
    return torch.stack(
        [
            torch.stack(
                [factors[known[:, label] & (on[:, label] == value)].mean(0) for value in (False, True)]
            )
            for label in range(labels.shape[1])
        ]
    )
