"""The measured gradient noise agrees with what is known of the estimators."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.gradient_noise import GradientNoise, Noise, gradient_noise, main


def test_noise_is_distinguished_from_a_mean_only_as_far_as_the_draws_allow() -> None:
    assert Noise(mean=2.0, deviation=1.0, draws=16).relative == "0.5"
    assert Noise(mean=0.1, deviation=1.0, draws=16).relative == "> 4"
    assert Noise(mean=0.0, deviation=1.0, draws=16).relative == "> 4"
    assert Noise(mean=0.0, deviation=0.0, draws=16).relative == "0"


def test_estimators_differ_where_they_must(tiny_data_set: Path) -> None:
    asked = GradientNoise(data=tiny_data_set, draws=3, epochs=0, batch_size=20)
    (_, weights), (_, marginals) = gradient_noise(asked)
    joint = "K = 1, monte_carlo_joint"
    as_printed, denominator, constant = (
        weights[f"{joint}, {gradient}"] for gradient in ("as_printed", "denominator", "none")
    )
    # Through the weight's denominator the encoder's gradient from labels is as large as from the image.
    assert denominator["encoder"].mean > 3 * constant["encoder"].mean
    # A numerator that is stopped in z has a gradient in the classifier's own parameters only.
    assert as_printed["encoder"] == denominator["encoder"]
    assert as_printed["classifier"].deviation > 3 * denominator["classifier"].deviation
    # The exact marginal has no gradient in the classifier, the enumerated bound does.
    assert marginals["K = 1, exact"]["classifier"].deviation == 0
    assert marginals["K = 1, exact"]["classifier"].mean == 0
    assert marginals["K = 1, jensen_enumerated"]["classifier"].mean > 0


def test_it_prints_a_table_before_and_after_the_epochs(
    tiny_data_set: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(tiny_data_set), "--draws", "2", "--batch-size", "50"])
    said = capsys.readouterr().out
    for title in ("10 labelled rows, after 0", "40 unlabelled rows, after 1", "preset exact"):
        assert title in said
