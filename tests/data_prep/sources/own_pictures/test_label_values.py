"""What the texts of a column mean."""

from __future__ import annotations

import pytest

from data_prep.sources.own_pictures.label_values import label_values, unknown_words


@pytest.mark.parametrize(
    ("texts", "values", "unknown"),
    [
        (["0", "1"], ["no", "yes"], []),
        (["1.0", "0.0", ""], ["no", "yes"], [""]),
        (["-1", "1"], ["no", "yes"], []),
        (["-1", "0", "1"], ["no", "yes"], ["-1"]),
        (["Yes", "NO", "n/a"], ["no", "yes"], ["n/a"]),
        (["True", "False", "NaN"], ["no", "yes"], ["NaN"]),
        (["3", "10", "2", "-1"], ["-1", "2", "3", "10"], []),
        (["0", "1", "2", "-1"], ["0", "1", "2"], ["-1"]),
        (["dog", "Cat", "cat", "?"], ["Cat", "dog"], ["?"]),
        (["none", "round", "unknown"], ["none", "round"], ["unknown"]),
    ],
)
def test_values_are_guessed_from_the_texts(texts: list[str], values: list[str], unknown: list[str]) -> None:
    found = label_values("x", texts)
    assert list(found.spec.values) == values
    assert found.spec.cardinality == len(values)
    assert [text for text, known in zip(texts, found.known, strict=True) if not known] == unknown


def test_each_text_has_the_value_that_it_means() -> None:
    found = label_values("x", ["True", "false", "", "FALSE"])
    assert found.value[found.known].tolist() == [1, 0, 0]


def test_an_option_says_which_words_are_unknown() -> None:
    assert unknown_words("auto") is None
    told = label_values("x", ["-1", "0", "1", "99"], unknown_words("99"))
    assert told.spec.values == ("-1", "0", "1")
    assert told.unknown_words == ("99",)
    assert label_values("x", ["?", "a"], unknown_words("none")).spec.values == ("?", "a")
