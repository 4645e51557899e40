"""Options of a source: the keyword-only parameters of the function that makes it, given as text on a command line."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from data_prep.errors import ConfigError

Option = str | int | float | bool
_WORDS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


PART_OPTIONS = ("count", "count_seed")
"""Options of every source that has no ``count`` of its own: how many rows, and which."""
_PART_TYPES: dict[str, Any] = dict.fromkeys(PART_OPTIONS, int)
_PART_TEXTS = {"count": "int (default all rows)", "count_seed": "int (default 0): which rows count takes"}


def takes_parts(make: Callable[..., Any]) -> bool:
    """Whether ``count`` takes a part of a source, and is not its own option."""
    return "count" not in _parameters(make)


def option_names(make: Callable[..., Any]) -> tuple[str, ...]:
    """The names of a source's options."""
    return (*_parameters(make), *(PART_OPTIONS if takes_parts(make) else ()))


def described_options(make: Callable[..., Any]) -> dict[str, str]:
    """Option → its values and default, for a person: ``{"views": "frontal (default) or all"}``; or its own sentence.

    A sentence is the second part of an ``Annotated`` type.
    """
    hints, described = get_type_hints(make, include_extras=True), dict[str, str]()
    for name, parameter in _parameters(make).items():
        if get_origin(hints[name]) is Annotated:
            described[name] = get_args(hints[name])[1]
            continue
        values = [str(value) for value in get_args(hints[name])] or [hints[name].__name__]
        default = str(parameter.default)
        marked = [f"{value} (default)" if value == default else value for value in values]
        text = " or ".join([", ".join(marked[:-1]), marked[-1]] if marked[1:] else marked)
        described[name] = text if default in values else f"{text} (default {default})"
    return described | (_PART_TEXTS if takes_parts(make) else {})


def parsed_options(texts: Sequence[str]) -> dict[str, Option]:
    """``["uncertain=ones"]`` → ``{"uncertain": "ones"}``; ``ConfigError`` where a text is not of this form."""
    options: dict[str, Option] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        name = name.strip().replace("-", "_")
        if not (equals and name and value.strip()):
            raise ConfigError(f"option {text!r} is not of the form NAME=VALUE")
        if name in options:
            raise ConfigError(f"option {name} is given twice")
        options[name] = value.strip()
    return options


def checked_options(
    source: str, make: Callable[..., Any], options: Mapping[str, Option]
) -> dict[str, Option]:
    """The options in the types that ``make`` declares; ``ConfigError`` naming one that is unknown or invalid."""
    known, hints = option_names(make), _PART_TYPES | get_type_hints(make)
    checked = {}
    for name, value in options.items():
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            meant = f"did you mean {close[0]}? " if close else ""
            raise ConfigError(f"{source} has no option {name!r}: {meant}its options: {', '.join(known)}")
        checked[name] = _converted(source, name, value, hints[name])
    return checked


def _parameters(make: Callable[..., Any]) -> dict[str, inspect.Parameter]:
    parameters = inspect.signature(make).parameters
    return {name: p for name, p in parameters.items() if p.kind is inspect.Parameter.KEYWORD_ONLY}


def _converted(source: str, name: str, value: Option, expected: Any) -> Option:
    if get_origin(expected) is Literal:
        matching = [choice for choice in get_args(expected) if str(choice) == str(value)]
        if matching:
            return matching[0]
        raise ConfigError(
            f"{source}: {name} is {value!r}, but must be one of {', '.join(map(str, get_args(expected)))}"
        )
    try:
        return _WORDS[str(value).lower()] if expected is bool else expected(value)
    except (ValueError, KeyError):
        raise ConfigError(
            f"{source}: {name} is {value!r}, which is not of type {expected.__name__}"
        ) from None
