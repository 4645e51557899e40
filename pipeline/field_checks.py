"""Checks of configuration fields, also for configurations built in Python."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Literal, get_args, get_origin, get_type_hints

from data_prep.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

NOT_IDENTITY = {"identity": False}
"""Metadata of a field that does not affect a run's result, so that changing it does not make a different run.

A field whose default is changed later states ``{"identity_default": <the former default>}`` (see ``pipeline.identity``).
"""


def check(condition: bool, message: str) -> None:
    """ConfigError with this message unless the condition holds."""
    if not condition:
        raise ConfigError(message)


def check_choices(config: DataclassInstance) -> None:
    """ConfigError if a field annotated as a ``Literal`` has another value."""
    hints = get_type_hints(type(config))  # strings evaluated, ``Annotated`` removed
    for field in fields(config):
        choices, value = get_args(hints[field.name]), getattr(config, field.name)
        if get_origin(hints[field.name]) is Literal and value not in choices:
            *others, last = map(str, choices)
            expected = f"{', '.join(others)} or {last}" if others else last
            raise ConfigError(f"{_of(config)}{field.name} is {value!r}; it must be {expected}")


def check_at_least(smallest: int, config: DataclassInstance, *names: str) -> None:
    """ConfigError if one of the named numbers is smaller, or NaN; None is allowed."""
    expected = "must not be negative" if smallest == 0 else f"must be at least {smallest}"
    for name in names:
        value = getattr(config, name)
        check(value is None or value >= smallest, f"{_of(config)}{name} is {value}; it {expected}")


def check_above_zero(config: DataclassInstance, *names: str) -> None:
    """ConfigError if one of the named numbers is not above 0; None is allowed."""
    for name in names:
        value = getattr(config, name)
        check(value is None or value > 0, f"{_of(config)}{name} is {value}; it must be above 0")


def _of(config: DataclassInstance) -> str:
    """The beginning of a message: the system, if it is about a system's field."""
    system = getattr(config, "system", "")
    return f"{system}: " if system else ""
