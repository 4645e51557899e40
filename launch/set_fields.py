"""``--set FIELD=VALUE[,VALUE ...]``: any field of a run by its dotted name; several values make a grid."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from itertools import product
from types import NoneType
from typing import Any, Literal, TypeAlias, get_args, get_origin, get_type_hints

from data_prep.errors import ConfigError, LaunchError
from pipeline.config import RunConfig, flat
from pipeline.validation import validated

Value: TypeAlias = "str | tuple[Value, ...]"
"""As typed: texts, and lists of them in brackets; pydantic makes numbers of them."""
Grid: TypeAlias = Mapping[str, Sequence[Value]]
"""Dotted name → the values to try."""

SYSTEM = "model.system"
_BY_THE_LAUNCHER = ("tracking.", "data.folder", "measures.readers")
_OPENS, _CLOSES = "([", ")]"


def parsed_grid(texts: Sequence[str], flag: str = "--set") -> dict[str, tuple[Value, ...]]:
    """The fields and values of ``FIELD=VALUE[,VALUE ...]``; LaunchError if one is not of this form, or given twice."""
    grid: dict[str, tuple[Value, ...]] = {}
    for text in texts:
        name, sign, values = text.partition("=")
        name = name.strip()
        if not (name and sign and values.strip()):
            raise LaunchError(f"{flag} {text}: write FIELD=VALUE, such as optimiser.learning_rate=1e-3")
        if name in grid:
            raise LaunchError(f"{flag} {name} is given twice: give its values once, separated by commas")
        if name.startswith(_BY_THE_LAUNCHER):
            raise LaunchError(
                f"{flag} {name}: the launcher sets this field (sweep.py --help has its options)"
            )
        grid[name] = _values(f"{flag} {text}", values)
    return grid


def with_fields(runs: Iterable[RunConfig], grid: Grid, flag: str = "--set") -> list[RunConfig]:
    """Each run with each combination of values; a run whose system has no such field stays without it.

    Raises:
        LaunchError: no run has one of the fields; with the likely name.
        ConfigError: a value does not fit its field, or the others of its run.
    """
    runs = list(runs)
    if not grid:
        return runs
    made: dict[RunConfig, None] = {}
    found: set[str] = set()
    bases: list[RunConfig] = []
    for run in runs:
        for point in product(*grid.values()):
            values = dict(zip(grid, point, strict=True))
            base = with_values(run, {SYSTEM: values[SYSTEM]}, flag) if SYSTEM in values else run
            bases.append(base)
            known = flat(base)
            own = {name: value for name, value in values.items() if name in known and name != SYSTEM}
            found |= own.keys() | (values.keys() & {SYSTEM})
            made[with_values(base, own, flag)] = None
    for name in grid:
        if name not in found:
            raise LaunchError(f"{flag} {_unknown(name, bases)}")
    return list(made)


def with_values(run: RunConfig, values: Mapping[str, Value | float], flag: str = "--set") -> RunConfig:
    """The run with these values of fields that it has; another system has defaults in its other fields.

    Raises:
        ConfigError: a value does not fit.
    """
    if not values:
        return run
    raw = asdict(run)
    if values.get(SYSTEM, run.model.system) != run.model.system:
        raw["model"] = {}
    for name, value in values.items():
        *sections, field = name.split(".")
        section = raw
        for each in sections:
            section = section[each]
        section[field] = None if _is_none(run, name, value) else value
    try:
        return validated(RunConfig, raw, flag)
    except ConfigError as error:
        raise ConfigError(f"{error}{_likely_choice(run, values)}") from None


def shown_fields(run: RunConfig, names: Iterable[str]) -> str:
    """What a run has in these fields: ``model.style_size=20 optimiser.learning_rate=0.001``."""
    known = flat(run)
    return " ".join(f"{name}={_shown(known[name])}" for name in names if name in known)


def without_the_field(runs: Sequence[RunConfig], names: Iterable[str]) -> list[str]:
    """A sentence for each field that some of these runs lack."""
    sentences = []
    for name in names:
        lack = sorted({run.model.system for run in runs if name not in flat(run)})
        if lack:
            *others, last = lack
            systems = f"{', '.join(others)} and {last} have" if others else f"{last} has"
            are = "are" if others else "is"
            sentences.append(f"{systems} no field {name}, and {are} run without it")
    return sentences


def hint_of(run: RunConfig, name: str) -> Any:
    """The type of a field that the run has."""
    *sections, field = name.split(".")
    section: Any = run
    for each in sections:
        section = getattr(section, each)
    return get_type_hints(type(section))[field]


def _values(text: str, values: str) -> tuple[Value, ...]:
    """The values between commas that are not within brackets; ``text`` is the whole option, for errors."""
    stack: list[list[Value]] = [[]]
    word = ""
    closed = False
    for letter in f"{values},":
        if letter in _OPENS and not word.strip():
            stack.append([])
            continue
        if letter in _CLOSES and len(stack) > 1:
            if word.strip():
                stack[-1].append(word.strip())
            inner = stack.pop()
            stack[-1].append(tuple(inner))
            word, closed = "", True
            continue
        if letter == ",":
            if not closed and not word.strip():
                raise LaunchError(f"{text}: a value is empty")
            if word.strip():
                stack[-1].append(word.strip())
            word, closed = "", False
            continue
        word += letter
    if len(stack) > 1:
        raise LaunchError(f"{text}: a bracket is not closed")
    return tuple(stack[0])


def _is_none(run: RunConfig, name: str, value: Value | float) -> bool:
    is_word = isinstance(value, str) and value.lower() == "none"
    return is_word and name in flat(run) and NoneType in get_args(hint_of(run, name))


def _unknown(name: str, runs: Sequence[RunConfig]) -> str:
    """The sentence about a field that no run has."""
    known = list(dict.fromkeys(field for run in runs for field in flat(run)))
    inside = [field for field in known if field.startswith(f"{name}.")]
    if inside:
        return f"{name}: this is a section; name one of its fields, such as {inside[0]}"
    same_end = [field for field in known if field.rpartition(".")[2] == name.rpartition(".")[2]]
    likely = same_end or difflib.get_close_matches(name, known, n=1)
    guess = f"; did you mean {likely[0]}?" if likely else " (debug.py SYSTEM --help lists them)"
    return f"{name}: no run of the recipe has such a field{guess}"


def _likely_choice(run: RunConfig, values: Mapping[str, Value | float]) -> str:
    """A guess for a value that is none of those a field can have, or how to write a list."""
    for name, value in values.items():
        if name not in flat(run):
            continue
        hint = hint_of(run, name)
        if isinstance(value, str) and get_origin(hint) is tuple:
            return f"; write a list in brackets: {name}=[{value}]"
        if get_origin(hint) is Literal:
            choices = [str(choice) for choice in get_args(hint)]
            close = difflib.get_close_matches(str(value), choices, n=1)
            if str(value) not in choices and close:
                return f"; did you mean {close[0]}?"
    return ""


def _shown(value: Any) -> str:
    if is_dataclass(value):
        return str(value)
    if isinstance(value, tuple | list):
        return f"[{','.join(map(_shown, value))}]"
    return f"{value:.10g}" if isinstance(value, float) else str(value)
