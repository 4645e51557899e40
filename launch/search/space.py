"""What a search varies: ``FIELD=LOW..HIGH[:log]`` or ``FIELD=A,B,C``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args, get_origin

from data_prep.errors import LaunchError
from launch.set_fields import Grid, hint_of, parsed_grid, with_fields, with_values
from pipeline.config import RunConfig

if TYPE_CHECKING:
    import optuna

Number: TypeAlias = int | float
Point: TypeAlias = Mapping[str, Number | str]
"""Field → its value in a trial."""


@dataclass(frozen=True, slots=True)
class Range:
    """A field between two numbers, both included."""

    field: str
    low: Number
    high: Number
    is_log: bool

    def suggest(self, trial: optuna.Trial) -> Number:
        """The value of a trial; whole if the ends are."""
        if isinstance(self.low, int) and isinstance(self.high, int):
            return trial.suggest_int(self.field, self.low, self.high, log=self.is_log)
        return trial.suggest_float(self.field, self.low, self.high, log=self.is_log)

    def ends(self) -> Iterable[Number | str]:
        """What must fit the field."""
        return self.low, self.high

    def __str__(self) -> str:
        return f"{self.field}={self.low}..{self.high}{':log' * self.is_log}"


@dataclass(frozen=True, slots=True)
class Choice:
    """A field with one of several values, as typed."""

    field: str
    values: tuple[str, ...]

    def suggest(self, trial: optuna.Trial) -> str:
        """The value of a trial."""
        return str(trial.suggest_categorical(self.field, self.values))

    def ends(self) -> Iterable[Number | str]:
        """What must fit the field."""
        return self.values

    def __str__(self) -> str:
        return f"{self.field}={','.join(self.values)}"


Space: TypeAlias = tuple[Range | Choice, ...]


def parsed_space(texts: Sequence[str], base: RunConfig) -> Space:
    """The fields and ranges that a search of this run varies.

    Raises:
        LaunchError: one is not of this form, or the run has no such field; with the likely name.
        ConfigError: an end of a range does not fit its field.
    """
    found = []
    for text in texts:
        name, _, values = text.partition("=")
        low, is_range, _ = values.partition("..")
        grid: Grid = parsed_grid([f"{name}={low}" if is_range else text], "--search")
        with_fields([base], {name: grid[name][:1]}, "--search")  # an unknown name, or no value for it
        if is_range:
            entry: Range | Choice = _range(text, name, values, base)
        else:
            entry = Choice(name, tuple(map(str, grid[name])))
            if len(entry.values) < 2:
                raise LaunchError(
                    f"--search {text}: one value is nothing to search; write FIELD=LOW..HIGH or FIELD=A,B"
                )
        for end in entry.ends():
            with_values(base, {name: end}, "--search")
        found.append(entry)
    names = [entry.field for entry in found]
    for name in names:
        if names.count(name) > 1:
            raise LaunchError(f"--search {name} is given twice: give its range once")
        if name in ("seed", "data.label_seed", "measures.split", "measures.take", "training.ranks"):
            raise LaunchError(f"--search {name}: the best of these would mean nothing; search another field")
    return tuple(found)


def _range(text: str, name: str, values: str, base: RunConfig) -> Range:
    ends, _, scale = values.partition(":")
    low, _, high = ends.partition("..")
    whole = _is_whole(hint_of(base, name))
    try:
        first, last = (int(low), int(high)) if whole else (float(low), float(high))
    except ValueError:
        number = "whole numbers" if whole else "numbers"
        raise LaunchError(f"--search {text}: LOW and HIGH of {name} must be {number}") from None
    if not (math.isfinite(first) and math.isfinite(last) and first < last):
        raise LaunchError(f"--search {text}: LOW must be below HIGH")
    if scale not in ("", "log"):
        raise LaunchError(f"--search {text}: {scale!r} is no scale; write LOW..HIGH or LOW..HIGH:log")
    if scale and first <= 0:
        raise LaunchError(f"--search {text}: on a logarithmic scale LOW must be above 0")
    return Range(name, first, last, bool(scale))


def _is_whole(hint: object) -> bool:
    if get_origin(hint) is Literal:
        return False
    kinds = get_args(hint) or (hint,)
    return int in kinds and float not in kinds
