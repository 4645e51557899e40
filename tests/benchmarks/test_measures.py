"""Parts of measures are in proportion, and what does not grow with them counts once."""

from __future__ import annotations

import pytest

from pipeline.measures.registry import measure_named
from tests.benchmarks.measures import extrapolated, scaled


def test_counts_are_in_proportion_and_other_settings_stay() -> None:
    assert scaled(measure_named("characteristic_swap"), 0.04) == measure_named(
        "characteristic_swap:images=20"
    )
    assert scaled(measure_named("single_interventions:images=0"), 0.04) == measure_named(
        "single_interventions:images=0"
    )
    smallest = scaled(measure_named("factor_interventions:images=10"), 0.04)
    assert smallest == measure_named("factor_interventions:images=2,fit_images=240")


def test_what_grows_is_extrapolated_and_the_rest_counts_once() -> None:
    assert extrapolated((0.04, 5.0), (0.02, 4.0)) == pytest.approx(3 + 50)
    assert extrapolated((0.04, 5.0), (0.02, 5.5)) == 5.0  # noise does not shrink it
