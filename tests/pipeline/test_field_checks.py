from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from data_prep.errors import ConfigError
from pipeline.field_checks import check_at_least, check_choices

Speed = Literal["slow", "fast"]


@dataclass(frozen=True, slots=True)
class Engine:
    kind: Annotated[Literal["diesel"], "what the field is called on the command line"] = "diesel"
    fuel: Literal["rape", "palm", "soya"] = "rape"
    speed: Speed = field(default="slow", metadata={"identity": False})
    name: str = "any"
    size: float | None = None

    def __post_init__(self) -> None:
        check_choices(self, "engine")


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"kind": "petrol"}, "engine: kind is 'petrol'; it must be diesel"),
        ({"speed": "Fast"}, "engine: speed is 'Fast'; it must be slow or fast"),
        ({"fuel": ""}, "engine: fuel is ''; it must be rape, palm or soya"),
        ({"fuel": None}, "engine: fuel is None; it must be rape, palm or soya"),
        ({"fuel": ["rape"]}, "engine: fuel is ['rape']; it must be rape, palm or soya"),
    ],
)
def test_a_value_that_is_no_choice_is_refused_in_a_sentence(options: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError) as refusal:
        Engine(**options)
    assert str(refusal.value) == sentence


def test_choices_and_fields_without_any_are_let_through() -> None:
    assert Engine(fuel="soya", speed="fast", name="diesel or not", size=1.5).fuel == "soya"


@pytest.mark.parametrize(
    ("smallest", "size", "sentence"),
    [
        (1, 0.5, "engine: size is 0.5; it must be at least 1"),
        (0, -1.0, "engine: size is -1.0; it must not be negative"),
        (0, float("nan"), "engine: size is nan; it must not be negative"),
    ],
)
def test_a_number_that_is_too_small_is_refused_in_a_sentence(
    smallest: int, size: float, sentence: str
) -> None:
    check_at_least(smallest, Engine(size=smallest), "engine", "size")
    with pytest.raises(ConfigError) as refusal:
        check_at_least(smallest, Engine(size=size), "engine", "size")
    assert str(refusal.value) == sentence
