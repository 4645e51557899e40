from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from data_prep.errors import ConfigError
from pipeline.field_checks import check_above_zero, check_at_least, check_choices
from pipeline.training.settings import TrainingConfig

Speed = Literal["slow", "fast"]


@dataclass(frozen=True, slots=True)
class Engine:
    system: str = "engine"
    kind: Annotated[Literal["diesel"], "what the field is called on the command line"] = "diesel"
    fuel: Literal["rape", "palm", "soya"] = "rape"
    speed: Speed = field(default="slow", metadata={"identity": False})
    name: str = "any"
    size: float | None = None

    def __post_init__(self) -> None:
        check_choices(self)


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


def test_choices_and_fields_without_choices_are_accepted() -> None:
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
    check_at_least(smallest, Engine(size=smallest), "size")
    with pytest.raises(ConfigError) as refusal:
        check_at_least(smallest, Engine(size=size), "size")
    assert str(refusal.value) == sentence


def test_a_number_that_is_not_above_zero_is_refused_and_a_missing_one_is_not() -> None:
    check_above_zero(Engine(size=1e-9), "size")
    check_above_zero(Engine(size=None), "size")
    check_at_least(1, Engine(size=None), "size")
    for size in (0.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=f"^engine: size is {size}; it must be above 0$"):
            check_above_zero(Engine(size=size), "size")


def test_a_section_that_is_no_systems_is_not_named() -> None:
    with pytest.raises(ConfigError, match=r"^epochs is 0; it must be at least 1$"):
        TrainingConfig(epochs=0)
