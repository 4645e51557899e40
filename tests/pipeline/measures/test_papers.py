from __future__ import annotations

from pipeline.measures.papers import PAPERS, paper_values


def test_every_number_of_the_tables_is_read() -> None:
    values = paper_values()
    assert len(values) == 480
    assert {value.paper for value in values} == set(PAPERS)
    assert {value.better for value in values} == {"higher", "lower", "none"}


def test_percentages_are_read_as_the_shares_that_ours_are() -> None:
    accuracies = [value for value in paper_values() if value.metric.endswith("accuracy")]
    assert all(0 < value.value <= 1 for value in accuracies)
    assert {value.unit for value in accuracies} == {"fraction"}


def test_a_number_is_shown_with_its_deviation_where_it_has_one() -> None:
    (one,) = [
        value
        for value in paper_values()
        if (value.paper, value.table, value.dataset, value.model, value.setting)
        == ("revae", "5", "fashion_mnist", "m2", "f=0.004")
    ]
    assert (str(one), one.source) == ("0.730 ± 0.030", "Joy et al. 2020 (ReVAE), table 5")
    assert str(paper_values()[0]) == "0.832"
