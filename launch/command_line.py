"""Command lines from dataclasses: the same for all programs of ``launch``, and what tyro does not check.

tyro keeps the last of a repeated flag: ``--only a --only b`` would run b alone, and ``--only`` with nothing after it every
cell. Here a repeated flag of several values appends, and one of a single value is refused. What is no number where one is
needed is refused in a sentence, without the types of Python that tyro names.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Literal, TypeVar

import tyro

from data_prep.errors import LaunchError
from data_prep.program_name import as_called
from launch.help_texts import flowing_help

T = TypeVar("T")
Kind = Literal["switch", "single", "several", "pairs"]
"""``--dry-run``, ``--epochs 3``, ``--only a b``, ``--sbatch name value name value``."""

_FLAG = re.compile(r"--(?P<name>[A-Za-z][\w.-]*)(?:=(?P<value>.*))?", re.S)


def described(metavar: str | None = None) -> Any:
    """For an option that is None or empty by default: its docstring says what happens then, not ``(default: None)``."""
    return tyro.conf.arg(metavar=metavar, help_behavior_hint="")


def parsed(options: type[T], arguments: Sequence[str] | None, *, prog: str, description: str = "") -> T:
    """The options of a program.

    Args:
        options: a dataclass; its docstring is the help unless there is a ``description``.
        arguments: without the program's name; None: those of this process.
        prog: name of the program.
        description: the help.

    Raises:
        LaunchError: a flag is repeated that takes one value, or has no value that needs one, or an empty or unfit one.
    """
    with flowing_help():
        return tyro.cli(
            options,
            args=appended(arguments, options),
            prog=prog,
            description=as_called(description or inspect.cleandoc(options.__doc__ or "")),
            config=(tyro.conf.FlagCreatePairsOff,),
        )


def appended(arguments: Sequence[str] | None, options: type) -> list[str]:
    """The arguments, in which each flag of several values occurs once with all of them, where it occurred last."""
    flags = _flags(options)
    kinds = {name: known.kind for name, known in flags.items()}
    given = list(_occurrences(sys.argv[1:] if arguments is None else arguments))
    values: dict[str, list[list[str]]] = {}
    for flag, own in given:
        _check_values(flag, own, flags.get(_field(flag)))
        values.setdefault(_field(flag), []).append(own)
    merged: list[str] = []
    for flag, own in given:
        kind, all_of_it = kinds.get(_field(flag)), values[_field(flag)]
        if kind in ("several", "pairs") and len(all_of_it) > 1:
            if own is all_of_it[-1]:
                merged += [f"--{flag}", *(value for some in all_of_it for value in some)]
            continue
        if kind == "single" and len({tuple(some[:1]) for some in all_of_it}) > 1:
            words = " and ".join(" ".join(some[:1]) or "nothing" for some in all_of_it)
            raise LaunchError(f"--{flag} is given {len(all_of_it)} times, with {words}: give it once")
        merged += own if not flag else [f"--{flag}", *own]
    _check_pairs(values, kinds)
    return merged


def _occurrences(arguments: Iterable[str]) -> Iterator[tuple[str, list[str]]]:
    """Each flag without its dashes, with what follows up to the next one; first, without a flag, what comes before."""
    flag, values = "", list[str]()
    for argument in arguments:
        match = _FLAG.fullmatch(argument)
        if match is None:
            values.append(argument)
            continue
        yield flag, values
        flag, values = match["name"], [] if match["value"] is None else [match["value"]]
    yield flag, values


def _field(flag: str) -> str:
    """The name of a flag's field: flags of nested options may have the names of all their parents."""
    return flag.rpartition(".")[2].replace("-", "_")


@dataclasses.dataclass(frozen=True, slots=True)
class _Flag:
    kind: Kind
    hints: tuple[Any, ...]
    """The types of all fields of this name: systems may differ in them."""


def _flags(options: type) -> dict[str, _Flag]:
    """Each flag by its field."""
    found: dict[str, _Flag] = {}
    for name, hint in _hints(options, set()):
        former = found[name].hints if name in found else ()
        found[name] = _Flag(_kind(hint), (*former, hint))
    return found


def _hints(options: Any, seen: set[type]) -> Iterator[tuple[str, Any]]:
    """Each field that is a flag, with its type."""
    if not dataclasses.is_dataclass(options) or options in seen:
        return
    assert isinstance(options, type)
    seen.add(options)
    for name, hint in typing.get_type_hints(options, include_extras=True).items():
        marks = getattr(hint, "__metadata__", ())
        # Positional arguments have no flag; tyro itself appends what is marked so.
        if tyro.conf.Positional in marks or tyro.conf.UseAppendAction in marks:
            continue
        bare = hint.__origin__ if marks else hint
        nested = [part for part in (bare, *typing.get_args(bare)) if dataclasses.is_dataclass(part)]
        if not nested:
            yield name, bare
        for part in nested:
            yield from _hints(part, seen)


def _kind(hint: Any) -> Kind:
    origin = typing.get_origin(hint) or hint
    if origin is bool:
        return "switch"
    if origin in (tuple, list):
        return "several"
    return "pairs" if origin in (dict, Mapping) else "single"


def _check_values(flag: str, values: Sequence[str], known: _Flag | None) -> None:
    if known is None:  # tyro says so, with the likely one
        return
    kind = known.kind
    if not values and kind in ("several", "pairs"):
        raise LaunchError(f"--{flag} has no value: give at least one, or leave the flag out")
    needed = values if kind == "several" else values[:1] if kind == "single" else ()
    if not all(value.strip() for value in needed):
        raise LaunchError(
            f"--{flag} has an empty value (an empty variable?): give a text, or leave the flag out"
        )

    for value in needed:
        wanted = list(dict.fromkeys(word for hint in known.hints for word in _wanted(value, hint)))
        if wanted and all(list(_wanted(value, hint)) for hint in known.hints):
            raise LaunchError(f"--{flag} is {value}: it takes {' or '.join(wanted)}")


def _wanted(value: str, hint: Any) -> list[str]:
    """What a type takes instead of this value, in words; nothing if it takes it, or that is for others to say."""
    if getattr(hint, "__metadata__", ()):
        hint = hint.__origin__
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin is tuple:
        return _wanted(value, parts[0])
    if origin is Literal:
        return (
            []
            if value in parts
            else [f"one of {', '.join(map(str, parts))}" if len(parts) > 1 else str(parts[0])]
        )
    if origin in (typing.Union, types.UnionType):
        of_each = [_wanted(value, part) for part in parts if part is not type(None)]
        fits = not all(of_each) or (value == "None" and type(None) in parts)
        return [] if fits else [word for words in of_each for word in words]
    if hint in (int, float):
        try:
            hint(value)
        except ValueError:
            return ["a whole number" if hint is int else "a number"]
    return []


def _check_pairs(values: Mapping[str, list[list[str]]], kinds: Mapping[str, Kind]) -> None:
    for name, all_of_it in values.items():
        if kinds.get(name) != "pairs":
            continue
        flat = [value for some in all_of_it for value in some]
        found: dict[str, str] = {}
        for option, value in zip(flat[::2], flat[1::2], strict=False):
            plain = option.removeprefix("--").replace("_", "-")
            if found.setdefault(plain, value) != value:
                raise LaunchError(
                    f"--{name.replace('_', '-')} {plain} is given twice, with {found[plain]} and {value}: give it once"
                )
