from __future__ import annotations

from pipeline.measures.paper_match import Deviation
from pipeline.measures.short_numbers import short_deviations, short_numbers
from pipeline.measures.summary import Row, Statistic
from pipeline.measures.tables import as_markdown, headings
from pipeline.measures.variants import short_variants, what_is_common


def row(*settings: tuple[str, str], system: str = "ccvae", rate: float = 0.06) -> Row:
    return Row("mnist", system, settings, rate, "3", ("0",), ("a",), {"auroc": Statistic(0.5, None, 1)})


def names(*rows: Row) -> list[str]:
    short = short_variants(rows)
    return [" ".join(short[one.variant]) for one in rows]


def ablation(weight: str, samples: str) -> Row:
    return row(("model.weight", weight), ("model.samples", samples))


def test_common_settings_are_stated_once() -> None:
    rows = [ablation("1", "1"), ablation("30", "1"), ablation("1", "4")]
    assert names(*rows) == ["common", "weight=30", "samples=4"]
    assert what_is_common(rows) == "unless stated otherwise: weight=1, samples=1"
    no_longer_most = [*rows, ablation("1", "9")]
    assert names(*no_longer_most) == ["samples=1", "weight=30 samples=1", "samples=4", "samples=9"]


def test_of_two_variants_both_state_their_setting() -> None:
    rows = [row(("model.preset", "paper")), row(("model.preset", "exact"))]
    assert names(*rows) == ["preset=paper", "preset=exact"]
    assert what_is_common(rows) == ""


def test_a_row_of_a_single_kind_has_no_variant() -> None:
    assert names(row(), row(system="m2")) == ["", ""]


def test_params_of_one_name_in_two_sections_keep_them() -> None:
    one = row(("data.width", "1"), ("model.width", "2"), ("model.depth", "3"))
    other = row(("data.width", "2"), ("model.width", "4"), ("model.depth", "4"))
    assert names(one, other)[0] == "data.width=1 model.width=2 depth=3"


def test_a_table_says_what_its_variants_have_in_common() -> None:
    rows = [ablation("1", "1"), ablation("30", "1"), ablation("1", "4")]
    assert headings(rows, [])[:3] == ["data", "system", "variant"]
    table = as_markdown(rows)
    assert "| mnist | ccvae | weight=30 | 0.06 |" in table
    assert table.endswith("- unless stated otherwise: weight=1, samples=1\n")


def test_drawn_numbers_are_short_unless_they_would_look_the_same() -> None:
    rates = ("0.00123456789012345", "0.0012345999999999", "0.0003", "1.5e-05", "0.09876543210987654", "None")
    rows = [row(("optimiser.learning_rate", rate), ("model.size", "12345")) for rate in rates]
    assert names(*rows) == [
        f"learning_rate={shown}"
        for shown in ("0.00123457", "0.0012346", "0.0003", "1.5e-05", "0.09877", "None")
    ]
    assert [one.variant.split("=")[1].split()[0] for one in rows] == list(rates)  # in CSV files
    deviations = [(Deviation("learning_rate", "0.0005", rate),) for rate in rates[:3]]
    assert list(short_deviations(deviations).values()) == [
        f"learning_rate: paper 0.0005, here {shown}" for shown in ("0.00123457", "0.0012346", "0.0003")
    ]
    assert short_numbers(["1235", "1234.9", "0.50000001"]) == {
        "1235": "1235",
        "1234.9": "1234.9",
        "0.50000001": "0.5",
    }
