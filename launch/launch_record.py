"""``asked.json`` in a sweep's folder: the options of each launch and its cells, so that cells can be started again."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import MISSING, dataclass, fields, is_dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Generic, Literal, TypeVar

from pydantic import TypeAdapter

from data_prep.errors import ConfigError, LaunchError
from data_prep.files import atomic_write
from pipeline.validation import validated

ASKED_FILE = "asked.json"

Options = TypeVar("Options")
Command = Literal["sweep", "measure"]
"""``launch/sweep.py`` or ``launch/measure.py``."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Launch(Generic[Options]):
    """One call of a command that starts cells of a sweep."""

    time: str
    """Local time of the launch, as text."""
    cells: tuple[str, ...]
    """The cells whose latest launch this is."""
    options: Options


def record_launch(sweep: Path, options: Any, cells: Collection[str], command: Command = "sweep") -> None:
    """Record the options of a launch, a dataclass, with absolute paths: the next one may start in another folder.

    An earlier launch is kept until a later one of the same command has started each of its cells.
    """
    earlier = []
    for launch in _read(sweep):
        others = launch.get("command", "sweep") != command
        rest = [name for name in launch["cells"] if others or name not in cells]
        if rest:
            earlier.append(launch | {"cells": rest})
    options = TypeAdapter(type(options)).dump_python(_absolute(options), mode="json")
    newest = {
        "command": command,
        "time": f"{datetime.now():%Y-%m-%d %H:%M:%S}",
        "cells": sorted(cells),
        "options": options,
    }
    with atomic_write(sweep / ASKED_FILE) as file:
        file.write(json.dumps([*earlier, newest], indent=1).encode() + b"\n")


def recorded_launches(
    sweep: Path, kind: type[Options], cells: Sequence[str], command: Command = "sweep"
) -> list[Launch[Options]]:
    """The latest launches of these cells by a command, oldest first, each with its cells.

    Raises:
        LaunchError: the launch of a cell is unknown, or cannot be read.
    """
    remedy = "run the sweep's own command again"
    file, found = sweep / ASKED_FILE, []
    for launch in _read(sweep):
        own = tuple(name for name in cells if name in launch["cells"])
        if not own or launch.get("command", "sweep") != command:
            continue
        try:
            options = validated(kind, launch["options"], str(file))
        except ConfigError as error:
            raise LaunchError(f"{error}; {remedy}") from None
        found.append(Launch(time=launch["time"], cells=own, options=options))
    unknown = set(cells).difference(*(launch.cells for launch in found))
    if unknown:
        raise LaunchError(f"{file} does not say how {min(unknown)} was started; {remedy}")
    return found


def launched_by(sweep: Path, command: Command) -> set[str]:
    """The cells that a command has started."""
    return {
        name
        for launch in _read(sweep)
        if launch.get("command", "sweep") == command
        for name in launch["cells"]
    }


def newest_launch(sweep: Path, kind: type[Options], command: Command = "sweep") -> Options:
    """The options of the newest launch by a command; those of its class by default if none is recorded.

    Raises:
        LaunchError: they cannot be read.
    """
    launches, file = _read(sweep), sweep / ASKED_FILE
    if not launches and file.is_file():
        raise LaunchError(
            f"{file} is damaged, and says how the sweep was started: restore it, or run the sweep's own command again"
        )
    for launch in reversed(launches):
        if launch.get("command", "sweep") == command:
            try:
                return validated(kind, launch["options"], str(file))
            except ConfigError as error:
                raise LaunchError(f"{error}; run the sweep's own command again") from None
    return kind()


def launches_by(sweep: Path, kind: type[Options], command: Command = "sweep") -> list[Launch[Options]]:
    """All recorded launches by a command, oldest first; those that cannot be read are left out."""
    found = []
    for launch in _read(sweep):
        if launch.get("command", "sweep") == command:
            with suppress(ConfigError):
                options = validated(kind, launch["options"], str(sweep / ASKED_FILE))
                found.append(Launch(time=launch["time"], cells=tuple(launch["cells"]), options=options))
    return found


def recorded_recipes(sweep: Path) -> list[str | None]:
    """The recipes of the launches in a sweep's folder, oldest first; None for one that named none."""
    launches = [launch for launch in _read(sweep) if launch.get("command", "sweep") == "sweep"]
    return list(dict.fromkeys(launch["options"].get("recipe") for launch in launches))


def describe_options(options: Any, without: Collection[str] = ()) -> str:
    """The options that differ from their defaults: ``recipe fashion-mnist, hours 2.5``."""
    parts = []
    for entry in fields(options):
        value = getattr(options, entry.name)
        if is_dataclass(value):
            parts.append(describe_options(value, without))
        elif entry.name not in without and value != _default(entry):
            shown = " ".join(map(str, value)) if isinstance(value, tuple) else str(value)
            parts.append(f"{entry.name.replace('_', '-')} {shown}")
    return ", ".join(part for part in parts if part)


def _default(entry: Any) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()


def _read(sweep: Path) -> list[dict[str, Any]]:
    """The launches; unreadable ones are left out."""
    try:
        launches = json.loads((sweep / ASKED_FILE).read_bytes())
    except (OSError, ValueError):
        return []
    kinds = {"time": str, "cells": list, "options": dict}
    return [
        launch
        for launch in (launches if isinstance(launches, list) else [])
        if isinstance(launch, dict) and all(isinstance(launch.get(key), kind) for key, kind in kinds.items())
    ]


def _absolute(options: Any) -> Any:
    changed: dict[str, Any] = {}
    for entry in fields(options):
        value = getattr(options, entry.name)
        if isinstance(value, Path):
            changed[entry.name] = value.absolute()
        elif is_dataclass(value):
            changed[entry.name] = _absolute(value)
    return replace(options, **changed)
