"""Measure 15: what a linear model reads of factors and labels from the latents (Ruiz et al. 2019, sections 5.2 and 5.3)."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pipeline.field_checks import check_at_least
from pipeline.measures.measure import Measured, Metric
from pipeline.measures.needs import Needs

if TYPE_CHECKING:
    import numpy as np

    from pipeline.measures.view import ModelView

FOLD = "probe"
"""A split for fitting probes, if a data set has one; otherwise they are fitted on ``train``."""
STRENGTHS = tuple(10.0**power for power in range(-3, 5))
"""Of the regularisation, chosen by cross-validation within the images that the probe is fitted on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class LinearProbes:
    """Errors of linear regressions of each factor, and accuracies of linear classifiers of each label, from latents.

    From the latents that represent the labels or target factors, and, for contrast, from the others
    (``…_on_common_factors``); from all latents if the system does not separate them. Each factor is scaled so that its
    range in the fitted images is 1. Factors that are categories are left out.
    """

    images: int = 5000
    """Of each of the two splits, the first ones; the paper has as many digits, and 3,500 faces."""

    name: ClassVar[str] = "linear_probes"
    version: ClassVar[int] = 1
    needs: ClassVar[Needs] = Needs(capabilities=("Encodes",))
    metrics: ClassVar[Mapping[str, Metric]] = {
        "linear_probe_mae": Metric(unit="share of the range", better="lower"),
        "linear_probe_mae_on_common_factors": Metric(unit="share of the range", better="higher"),
        "linear_probe_mae_of_a_constant": Metric(unit="share of the range", better="none"),
        "linear_probe_accuracy": Metric(unit="share", better="higher"),
        "linear_probe_accuracy_on_common_factors": Metric(unit="share", better="lower"),
        "linear_probe_accuracy_of_chance": Metric(unit="share", better="none"),
    }

    def __post_init__(self) -> None:
        check_at_least(1, self, "images")

    def __call__(self, view: ModelView) -> Measured:
        """Means over factors and over labels, and the errors and accuracies of each."""
        import numpy as np

        manifest = view.examples.data.manifest
        fitted = view.on(FOLD if FOLD in manifest.splits else "train")
        latents = {"fit": fitted.codes(self.images).numpy(), "test": view.codes(self.images).numpy()}
        own = _own(view, latents["test"].shape[1])
        parts = {"": own, "_on_common_factors": ~own} if not own.all() else {"": own}
        numbers: dict[str, float] = {}
        arrays: dict[str, np.ndarray] = {}
        quantities = _quantities(fitted, view, self.images)
        if quantities is not None:
            names, of_fit, of_test = quantities
            arrays["factors"] = names
            for suffix, part in parts.items():
                found = factor_errors(latents["fit"][:, part], of_fit, latents["test"][:, part], of_test)
                arrays[f"linear_probe_mae{suffix}"] = found
                numbers[f"linear_probe_mae{suffix}"] = float(found.mean())
            numbers["linear_probe_mae_of_a_constant"] = float(np.abs(of_test - np.median(of_fit, 0)).mean())
        for suffix, part in parts.items():
            recalls = [
                class_accuracies(
                    latents["fit"][known_fit][:, part], values_fit, latents["test"][known][:, part], values
                )
                for known_fit, values_fit, known, values in _labels(fitted, view, self.images)
            ]
            if recalls:
                numbers[f"linear_probe_accuracy{suffix}"] = float(np.mean([each.mean() for each in recalls]))
                numbers["linear_probe_accuracy_of_chance"] = float(
                    np.mean([1 / len(each) for each in recalls])
                )
                arrays[f"linear_probe_accuracy{suffix}"] = np.concatenate(recalls)
        return Measured(numbers=numbers, counts=dict.fromkeys(numbers, len(latents["test"])), arrays=arrays)


def factor_errors(
    latents: np.ndarray, factors: np.ndarray, test_latents: np.ndarray, test_factors: np.ndarray
) -> np.ndarray:
    """Mean absolute error (factor) of a ridge regression of each factor, fitted on (row, latent) and (row, factor)."""
    import numpy as np
    from sklearn.linear_model import RidgeCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    probe = make_pipeline(StandardScaler(), RidgeCV(STRENGTHS))
    return np.array(
        [
            np.abs(probe.fit(latents, factor).predict(test_latents) - truth).mean()
            for factor, truth in zip(factors.T, test_factors.T, strict=True)
        ]
    )


def class_accuracies(
    latents: np.ndarray, values: np.ndarray, test_latents: np.ndarray, test_values: np.ndarray
) -> np.ndarray:
    """Share (value) of the test rows with each value of a label that a logistic regression recognises."""
    import numpy as np
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = min(5, int(np.unique(values, return_counts=True)[1].min()))
    classifier = GridSearchCV(
        LogisticRegression(class_weight="balanced", max_iter=300),
        {"C": [1 / strength for strength in STRENGTHS]},
        cv=folds,
        scoring="balanced_accuracy",
    )
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore"
        )  # weak regularisation may not converge; cross-validation judges what it gives
        predicted = make_pipeline(StandardScaler(), classifier).fit(latents, values).predict(test_latents)
    return np.array([(predicted[test_values == value] == value).mean() for value in np.unique(test_values)])


def _own(view: ModelView, latents: int) -> np.ndarray:
    """Which latents represent labels or target factors: they come first in the code."""
    import numpy as np

    from pipeline.models.capabilities import EncodesFactors, labels_if_needed

    own = np.ones(latents, dtype=bool)
    if isinstance(view.model, EncodesFactors):
        known = labels_if_needed(view.model, view.examples.known_labels(0, 1))
        own[view.model.characteristic_latents(view.first(1), known).shape[1] :] = False
    return own


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
    low, high = of_fit[:, chosen].min(0), of_fit[:, chosen].max(0)
    return names[chosen], *((each[:, chosen] - low) / (high - low) for each in (of_fit, of_test))


def _labels(
    fitted: ModelView, view: ModelView, images: int
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """For each label that has two images of each of two values to fit on: which rows are known, and their values, twice."""
    import numpy as np

    found = []
    for label in range(len(view.examples.data.manifest.labels)):
        of_both = []
        for each in (fitted.examples, view.examples):
            known = np.flatnonzero(each.observed[:images, label])
            of_both += [known, each.labels[known, label]]
        counts = np.unique(of_both[1], return_counts=True)[1]
        if len(counts) > 1 and counts.min() > 1 and len(of_both[2]):
            found.append((of_both[0], of_both[1], of_both[2], of_both[3]))
    return found
