"""Plain JSON values into dataclasses; errors are one sentence with the location."""

from __future__ import annotations

import difflib
import json
from collections.abc import Hashable
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar, cast

from data_prep.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

FORBID_UNKNOWN = {"extra": "forbid"}
"""``__pydantic_config__`` of a dataclass that forbids unknown fields, also in nested dataclasses."""

T = TypeVar("T")


def from_json(kind: type[T], text: str | bytes, origin: str) -> T:
    """A dataclass from JSON; ConfigError names the origin and the error."""
    try:
        raw = json.loads(text)
    except ValueError as error:
        raise ConfigError(f"{origin} is not JSON: {error}") from None
    return validated(kind, raw, origin)


def validated(kind: type[T], raw: Any, origin: str) -> T:
    """A dataclass from plain values; ConfigError names the origin, the field, and the likely name of an unknown one."""
    from pydantic import ValidationError

    try:
        checked: T = _adapter(cast(Hashable, kind)).validate_python(raw)
    except ValidationError as error:
        first = error.errors()[0]
        names = _names_in(raw, first["loc"])
        if first["type"] != "unexpected_keyword_argument":
            value = first["input"]
            given = f" (it is {value!r})" if isinstance(value, str | int | float | None) else ""
            raise ConfigError(
                ": ".join(filter(None, [origin, ".".join(names), first["msg"] + given]))
            ) from None
        likely = difflib.get_close_matches(names[-1], _known_names(kind, raw, names), 1)
        hint = f"; did you mean {likely[0]}?" if likely else ""
        raise ConfigError(f"{origin}: unknown field {'.'.join(names)}{hint}") from None
    return checked


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter  # late: only reading a file needs it

    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    return adapter


def _names_in(raw: Any, location: tuple[int | str, ...]) -> list[str]:
    """The names of a location as in the file: pydantic's location also has the type chosen from a union."""
    names = []
    for number, step in enumerate(location):
        inside = (isinstance(raw, dict) and step in raw) or (isinstance(raw, list) and isinstance(step, int))
        if inside or number == len(location) - 1:
            names.append(str(step))
        if inside:
            raw = raw[step]
    return names


def _known_names(kind: type[Any], raw: dict[str, Any], names: list[str]) -> list[str]:
    """The fields of the section that contains an unknown field; empty if the section has other errors too."""
    try:
        section = validated(kind, _without(raw, names), "")
    except ConfigError:
        return []
    for name in names[:-1]:
        section = getattr(section, name)
    return [entry.name for entry in fields(section)]


def _without(raw: dict[str, Any], names: list[str]) -> dict[str, Any]:
    first, *rest = names
    if rest:
        return raw | {first: _without(raw[first], rest)}
    return {name: value for name, value in raw.items() if name != first}
