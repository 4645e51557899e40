"""Measure 15: what a linear model reads of factors and labels from the latents (Ruiz et al. 2019, sections 5.2 and 5.3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import DoesNotApply, Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np
    from jaxtyping import Int64, Integer

    from pipeline.measures.view import ModelView

FOLD = "probe"
"""A split for fitting probes, if a data set has one; otherwise they are fitted on ``train``."""
SHARES = ("red", "green", "blue")
"""Factors of transformed MNIST that are shares of 1 already, whatever part of that the fitted images have."""
_COMPARED = 16
"""Images that are encoded with other labels to see which latents follow from them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearProbes:
    """Errors of linear regressions of each factor, and accuracies of linear classifiers of each label, from latents.

    From the latents that represent the labels or target factors, and, for contrast, from the others
    (``…_on_common_factors``); from all latents if the system does not separate them. Each factor is scaled so that its
    range in the fitted images is 1, but for colour components, which are shares of 1 as they are. Factors that are
    categories are left out, and so are latents that follow from labels which the encoder is given: a probe would read
    there what was put in.

    ``…_in_cross_validation`` is the error or accuracy within the images that the probe is fitted on: none of the reported
    images is in it, so strengths of regularisation are chosen by it.
    """

    images: int = 5000
    """Of each of the two splits, the first ones; the paper has as many digits, and 3,500 faces."""

    name: ClassVar[str] = "linear_probes"
    version: ClassVar[int] = 3
    """3: no latents that follow from given labels, where the accuracy was 1 whatever the model had learned; colour
    components are not scaled."""
    needs: ClassVar[Needs] = Needs(capabilities=("Encodes",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "linear_probe_mae": Metric(unit="share of the range", better="lower"),
        "linear_probe_mae_in_cross_validation": Metric(unit="share of the range", better="lower"),
        "linear_probe_mae_on_common_factors": Metric(unit="share of the range", better="higher"),
        "linear_probe_mae_of_a_constant": Metric(unit="share of the range", better="none"),
        "linear_probe_accuracy": Metric(unit="share", better="higher"),
        "linear_probe_accuracy_in_cross_validation": Metric(unit="share", better="higher"),
        "linear_probe_accuracy_on_common_factors": Metric(unit="share", better="lower"),
        "linear_probe_accuracy_of_chance": Metric(unit="share", better="none"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "images")

    def __call__(self, view: ModelView) -> Measured:
        """Means over factors and over labels, and the errors and accuracies of each."""
        import numpy as np

        from pipeline.measures.linear_probe_scores import class_accuracies, factor_errors

        manifest = view.examples.data.manifest
        fitted = view.on(FOLD if FOLD in manifest.splits else "train")
        latents = {"fit": fitted.codes(self.images).numpy(), "test": view.codes(self.images).numpy()}
        own, given = own_latents(view, latents["test"].shape[1]), _follow_from_labels(view)
        parts = {"": own & ~given, "_on_common_factors": ~own & ~given}
        parts = {suffix: part for suffix, part in parts.items() if part.any()}
        if not parts:
            raise DoesNotApply("all latents follow from labels that the encoder is given")
        numbers: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        quantities = _quantities(fitted, view, self.images)
        if quantities is not None:
            names, of_fit, of_test = quantities
            arrays["factors"] = names
            for suffix, part in parts.items():
                found = factor_errors(latents["fit"][:, part], of_fit, latents["test"][:, part], of_test)
                arrays[f"linear_probe_mae{suffix}"] = found.errors
                numbers[f"linear_probe_mae{suffix}"] = float(found.errors.mean())
                inside = float(found.in_cross_validation.mean())
                if not suffix and np.isfinite(inside):  # otherwise there are too few images for it
                    numbers["linear_probe_mae_in_cross_validation"] = inside
            numbers["linear_probe_mae_of_a_constant"] = float(np.abs(of_test - np.median(of_fit, 0)).mean())
        labels = _labels(fitted, view, self.images)
        if labels:
            arrays |= _names(view, labels)
            numbers["linear_probe_accuracy_of_chance"] = float(
                np.mean([1 / len(np.unique(label.values)) for label in labels])
            )
        for suffix, part in parts.items() if labels else ():
            read = [
                class_accuracies(
                    latents["fit"][label.known_fit][:, part],
                    label.values_fit,
                    latents["test"][label.known][:, part],
                    label.values,
                )
                for label in labels
            ]
            numbers[f"linear_probe_accuracy{suffix}"] = float(np.mean([each.shares.mean() for each in read]))
            arrays[f"linear_probe_accuracy{suffix}"] = np.concatenate([each.shares for each in read])
            if not suffix:
                numbers["linear_probe_accuracy_in_cross_validation"] = float(
                    np.mean([each.in_cross_validation for each in read])
                )
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, len(latents["test"])), arrays=arrays)


def own_latents(view: ModelView, latents: int) -> np.ndarray:
    """Which latents represent labels or target factors: they come first in the code."""
    import numpy as np

    from pipeline.models.capabilities import EncodesFactors, labels_if_needed

    own = np.ones(latents, dtype=bool)
    if isinstance(view.model, EncodesFactors):
        known = labels_if_needed(view.model, view.examples.known_labels(0, 1))
        own[view.model.characteristic_latents(view.first(1), known).shape[1] :] = False
    return own


def _follow_from_labels(view: ModelView) -> np.ndarray:
    """Which latents change with the labels that a system cannot encode without; none for other systems."""
    import numpy as np
    import torch

    from pipeline.models.capabilities import KnownLabels

    if view.known_labels(1) is None:
        return np.array(False)
    image, labels = view.first(_COMPARED), view.examples.known_labels(0, _COMPARED).labels
    sizes = torch.tensor([spec.cardinality for spec in view.examples.data.manifest.labels])
    others = ((labels + 1) % sizes.to(labels.device)).to(labels.dtype)
    with_own, with_others = (view.model.encode(image, KnownLabels.all_of(each)) for each in (labels, others))  # type: ignore[operator]
    found: np.ndarray = (with_own != with_others).any(0).cpu().numpy()
    return found


def _quantities(
    fitted: ModelView, view: ModelView, images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
    """Names (factor) and values (row, factor) in both splits of the factors that vary and are no categories, scaled."""
    import numpy as np

    from pipeline.measures.disentanglement_scores import is_category

    names = np.array(view.examples.data.manifest.factors, dtype=np.str_)
    if not len(names):
        return None
    of_fit, of_test = (
        each.examples.data.column(each.examples.split, "factors")[:images].astype(np.float64)
        for each in (fitted, view)
    )
    chosen = np.array([not is_category(factor) and np.ptp(factor) > 0 for factor in of_fit.T])
    if not chosen.any():
        return None
    names = names[chosen]
    low, high = of_fit[:, chosen].min(0), of_fit[:, chosen].max(0)
    is_share = np.isin(names, SHARES)
    low[is_share], high[is_share] = 0, 1
    return names, *((each[:, chosen] - low) / (high - low) for each in (of_fit, of_test))


class _Label(NamedTuple):
    """A label that has two images of each of two values to fit on: which rows are known, and their values."""

    number: int
    known_fit: Int64[np.ndarray, " fitted"]
    values_fit: Integer[np.ndarray, " fitted"]
    known: Int64[np.ndarray, " known"]
    values: Integer[np.ndarray, " known"]


def _labels(fitted: ModelView, view: ModelView, images: int) -> list[_Label]:
    """Those of the data set that can be probed."""
    import numpy as np

    found = []
    for number in range(len(view.examples.data.manifest.labels)):
        of_both = []
        for each in (fitted.examples, view.examples):
            known = np.flatnonzero(each.observed[:images, number])
            of_both += [known, each.labels[known, number]]
        counts = np.unique(of_both[1], return_counts=True)[1]
        if len(counts) > 1 and counts.min() > 1 and len(of_both[2]):
            found.append(_Label(number, *of_both))
    return found


def _names(view: ModelView, labels: Sequence[_Label]) -> dict[str, np.ndarray]:
    """``labels`` and ``values``: the names of the label and of the value that each accuracy is of."""
    import numpy as np

    specs = view.examples.data.manifest.labels
    named = [
        (specs[label.number].name, specs[label.number].values[value])
        for label in labels
        for value in np.unique(label.values)
    ]
    return {
        name: np.array(column, np.str_)
        for name, column in zip(("labels", "values"), zip(*named, strict=True), strict=True)
    }
