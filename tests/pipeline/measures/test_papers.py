from __future__ import annotations

import pytest

from pipeline.measures.papers import PAPERS, paper_curve, paper_value, paper_values


def test_every_number_of_the_tables_is_read() -> None:
    values = paper_values()
    assert len(values) == 480
    assert {value.paper for value in values} == set(PAPERS)
    assert {value.better for value in values} == {"higher", "lower", "none"}


@pytest.mark.parametrize(
    ("dataset", "model", "rate", "metric", "expected"),
    [
        ("fashion_mnist", "ccvae", 0.06, "classification_accuracy", 0.865),
        ("mnist", "m2", 1.0, "classification_accuracy", 0.981),
        ("mnist", "ccvae", 0.004, "generation_accuracy", 0.910),
        ("celeba", "m2", 0.2, "classification_accuracy", 0.877),
    ],
)
def test_numbers_are_found(dataset: str, model: str, rate: float, metric: str, expected: float) -> None:
    found = paper_value(dataset, model, rate, metric)
    assert found is not None
    assert (found.value, found.paper, found.sd) == (expected, "ccvae", None)


def test_ccvae_stands_before_revae_and_its_deviation_is_kept() -> None:
    (one,) = [
        v
        for v in paper_values()
        if (v.paper, v.table, v.dataset, v.model, v.setting)
        == ("revae", "5", "fashion_mnist", "m2", "f=0.004")
    ]
    assert (one.value, one.sd) == (0.73, 0.03)
    curve = paper_curve("fashion_mnist", "m2", "classification_accuracy")
    assert [value.paper for value in curve.values()] == ["ccvae"] * 4
    assert list(curve) == [0.004, 0.06, 0.2, 1.0]


def test_what_no_paper_prints_is_not_made_up() -> None:
    assert paper_value("fashion_mnist", "ccvae", 0.5, "classification_accuracy") is None
    assert paper_value("fashion_mnist", "ccvae", 0.06, "elbo") is None
    assert paper_curve("my_data", "ccvae", "classification_accuracy") == {}
