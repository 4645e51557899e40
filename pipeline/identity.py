"""What identifies a run, and so the hash in its name: the fields that differ from their original defaults.

A field at its default is left out, so that a new field does not change the identity of existing runs. The value that is
left out is the default, or ``metadata["identity_default"]`` if the default has changed since: an old run must not be
mistaken for a new one. A system's name is always included, and fields that decide no result (``NOT_IDENTITY``) never are.
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
    """The value of a field that is not part of the identity; ``MISSING`` if every value is."""
    if "identity_default" in entry.metadata:
        return entry.metadata["identity_default"]
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def plain(value: Any) -> Any:
    """A value in JSON's form: tuples as lists, and integral floats as integers."""
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, Mapping):
        return {str(name): plain(each) for name, each in value.items()}
    return int(value) if isinstance(value, float) and value.is_integer() else value
