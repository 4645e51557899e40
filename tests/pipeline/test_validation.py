"""What a file that was edited by hand, or comes from another version, is told."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from data_prep.errors import ConfigError
from pipeline.cells.record import RunRecord
from pipeline.config import RunConfig, to_json
from pipeline.validation import FORBID_UNKNOWN, from_json, validated


@dataclass(frozen=True, kw_only=True)
class Inner:
    numbers: tuple[int, ...] = ()
    width: int = 1


@dataclass(frozen=True, kw_only=True)
class Outer:
    __pydantic_config__ = FORBID_UNKNOWN

    inner: Inner = field(default_factory=Inner)
    name: str = ""


def test_values_become_dataclasses_with_their_own_types() -> None:
    found = validated(Outer, {"inner": {"numbers": [1, 2]}, "name": "n"}, "file")
    assert found == Outer(inner=Inner(numbers=(1, 2)), name="n")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "file is not JSON: "),
        ("[]", "file: Input should be a dictionary"),
        ('{"nam": 1}', "file: unknown field nam; did you mean name?"),
        ('{"inner": {"wdth": 1}}', "file: unknown field inner.wdth; did you mean width?"),
        ('{"inner": {"zzz": 1}}', "file: unknown field inner.zzz"),
        ('{"inner": {"numbers": [1, "x"]}}', "file: inner.numbers.1: Input should be a valid integer"),
        ('{"inner": 3}', "file: inner: Input should be a dictionary"),
        # A hint needs the rest to be whole; without one the sentence is still right.
        ('{"nam": 1, "inner": {"width": "x"}}', "file: "),
    ],
)
def test_what_does_not_fit_is_one_sentence_with_its_place(text: str, sentence: str) -> None:
    with pytest.raises(ConfigError) as error:
        from_json(Outer, text, "file")
    assert str(error.value).startswith(sentence)
    assert "\n" not in str(error.value)
    if "zzz" in text:
        assert str(error.value) == sentence


@pytest.mark.parametrize(
    ("section", "field_name", "likely"),
    [("model", "predictive_sample", "predictive_samples"), ("training", "epoch", "epochs")],
)
def test_an_unknown_field_of_a_run_is_named_as_the_file_has_it(
    section: str, field_name: str, likely: str
) -> None:
    raw: dict[str, Any] = json.loads(to_json(RunConfig()))
    raw[section][field_name] = 1
    with pytest.raises(ConfigError) as error:
        validated(RunConfig, raw, "config.json")
    assert str(error.value) == f"config.json: unknown field {section}.{field_name}; did you mean {likely}?"


def test_a_record_leaves_the_model_unread_and_nothing_else() -> None:
    raw: dict[str, Any] = json.loads(to_json(RunConfig()))
    raw["model"] = {"system": "not_of_this_version", "anything": 1}
    assert validated(RunRecord, raw, "config.json").model == raw["model"]
    raw["training"]["epoch"] = 1
    with pytest.raises(ConfigError, match=r"unknown field training\.epoch"):
        validated(RunRecord, raw, "config.json")
