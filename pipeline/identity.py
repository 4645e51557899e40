"""What decides a run, and so the hash in its name: the fields that are not as they have always been by default.

A field at its default stays out, so that a new field leaves the runs of before the runs that they are. The value that
stays out is the default, or ``metadata["identity_default"]`` where the default was changed since: a run of before must not
pass for one of today. A system's name is always in, and what decides no result (``NOT_IDENTITY``) never is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields, is_dataclass
from typing import Any

ALWAYS_IN = ("system",)
"""Names of fields."""


def identifying(section: Any) -> dict[str, Any]:
    """The fields of a configuration that decide its result, as plain values, nested; sections without any are left out."""
    kept: dict[str, Any] = {}
    for entry in fields(section):
        value = getattr(section, entry.name)
        if not entry.metadata.get("identity", True):
            continue
        if is_dataclass(value):
            inside = identifying(value)
            kept |= {entry.name: inside} if inside else {}
        elif entry.name in ALWAYS_IN or plain(value) != plain(stays_out(entry)):
            kept[entry.name] = plain(value)
    return kept


def stays_out(entry: Field[Any]) -> Any:
    """The value of a field that is not part of the identity; ``MISSING`` where every value is."""
    if "identity_default" in entry.metadata:
        return entry.metadata["identity_default"]
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def plain(value: Any) -> Any:
    """A value as JSON has it: tuples are lists, and a whole number is one number however it is written."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
