"""The command line that repeats a launch, from its recorded options."""

from __future__ import annotations

import dataclasses
import shlex
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import tyro


def command_of(program: str, options: Any) -> str:
    """The command with all options that differ from their defaults, quoted for a shell.

    Args:
        program: ``python launch/sweep.py``.
        options: of the command line, a dataclass; flags of nested ones have no prefix.
    """
    words = list(_words(options))
    positional = [word for flag, values in words if not flag for word in values]
    flags = [word for flag, values in words if flag for word in (flag, *values)]
    return " ".join([program, shlex.join([*positional, *flags])]).strip()


def _words(options: Any) -> Iterator[tuple[str, list[str]]]:
    """Each flag with its values; an empty flag for what has none."""
    hints = typing.get_type_hints(type(options), include_extras=True)
    for entry in dataclasses.fields(options):
        value = getattr(options, entry.name)
        if dataclasses.is_dataclass(value):
            yield from _words(value)
            continue
        factory = entry.default_factory
        default = entry.default if factory is dataclasses.MISSING else factory()
        if value == default:
            continue
        flag = f"--{entry.name.replace('_', '-')}"
        if tyro.conf.Positional in getattr(hints[entry.name], "__metadata__", ()):
            yield "", _texts(value)
        elif isinstance(value, bool):
            yield flag if value else f"--no-{flag[2:]}", []
        else:
            yield flag, _texts(value)


def _texts(value: Any) -> list[str]:
    if isinstance(value, Mapping):
        return [str(word) for pair in value.items() for word in pair]
    return list(map(str, value)) if isinstance(value, tuple | list) else [str(value)]
