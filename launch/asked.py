"""``asked.json`` in a sweep's folder: what the command that started it asked for, so that cells can be started again."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from data_prep.errors import LaunchError
from data_prep.files import atomic_write

ASKED_FILE = "asked.json"

Asked = TypeVar("Asked")


def keep(sweep: Path, asked: Any) -> None:
    """Write down the options of a launch, a dataclass, with absolute paths: the next one may come from another folder."""
    text = TypeAdapter(type(asked)).dump_json(_absolute(asked), indent=1)
    with atomic_write(sweep / ASKED_FILE) as file:
        file.write(text + b"\n")


def kept(sweep: Path, kind: type[Asked]) -> Asked:
    """The options of the newest launch of a sweep; LaunchError where there are none that can be read."""
    file = sweep / ASKED_FILE
    again = "start the sweep with its own command again"
    try:
        return TypeAdapter(kind).validate_json(file.read_bytes())
    except FileNotFoundError:
        raise LaunchError(
            f"{sweep} does not say how it was started ({ASKED_FILE} is missing); {again}"
        ) from None
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LaunchError(f"{file}: {where + ': ' if where else ''}{first['msg']}; {again}") from None


def _absolute(options: Any) -> Any:
    changed: dict[str, Any] = {}
    for entry in fields(options):
        value = getattr(options, entry.name)
        if isinstance(value, Path):
            changed[entry.name] = value.absolute()
        elif is_dataclass(value):
            changed[entry.name] = _absolute(value)
    return replace(options, **changed)
