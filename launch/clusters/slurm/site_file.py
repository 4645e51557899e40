"""A site's defaults in TOML: the fields of ``Resources`` by name, further sbatch options in a table ``[sbatch]``."""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import typing
from pathlib import Path
from typing import Any, Literal

from data_prep.errors import ConfigError
from launch.clusters.resources import Resources


def _kinds(hint: Any) -> tuple[type, ...]:
    """The types of ``int | str | None``, ``dict[str, str]`` or ``tuple[str, ...]``."""
    is_optional = type(None) in typing.get_args(hint)
    kinds = [kind for kind in typing.get_args(hint) if kind is not type(None)] if is_optional else [hint]
    return tuple(
        str if typing.get_origin(kind) is Literal else typing.get_origin(kind) or kind for kind in kinds
    )


_KINDS = {name: _kinds(hint) for name, hint in typing.get_type_hints(Resources).items()}
_IN_WORDS = {
    str: "a quoted string",
    int: "an integer",
    float: "a number",
    dict: "a table",
    tuple: 'a list of quoted strings, such as ["module load cuda"]',
}
_OTHERS_NAMES = {
    "time": "hours",
    "timeout_min": "hours",
    "walltime": "hours",
    "mem": "memory_gb",
    "memory": "memory_gb",
    "gpus": "gpus_per_node",
    "gres": "gpus_per_node",
    "modules": "setup",
    "module": "setup",
    "prolog": "setup",
    "cpus": "cpus_per_task",
    "queue": "partition",
    "project": "account",
    "feature": "constraint",
    "array_parallelism": "max_parallel",
    "requeue": "retries",
}
"""Names that users of sbatch or submitit may write."""


def site_file() -> Path:
    """The file of a user's own defaults."""
    home = os.environ.get("XDG_CONFIG_HOME") or ""
    # The specification says that a relative path is to be ignored.
    folder = Path(home) if os.path.isabs(home) else Path.home() / ".config"
    return folder / "traitvae" / "cluster.toml"


def read_site_file(file: Path) -> Resources:
    """The resources in a file.

    Raises:
        ConfigError: it cannot be read, is not TOML, or has an invalid key or value; with the line.
    """
    try:
        text = file.read_text(encoding="utf-8")
        entries = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read the cluster file {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}") from None
    fields: dict[str, Any] = {}
    for key, value in entries.items():
        where = f"{file}{_line(text, key)}"
        if key not in _KINDS:
            raise ConfigError(f"{where}: {key!r} is not a field of the cluster file; {_likely(key)}")
        fields[key] = _checked(where, key, value)
        try:
            Resources(**{key: fields[key]})
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from None
    try:
        return Resources(**fields)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None


def _checked(where: str, key: str, value: Any) -> Any:
    kinds = _KINDS[key]
    if kinds == (float,) and type(value) is int:
        return float(value)
    if tuple in kinds and isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return tuple(value)
    if type(value) not in kinds:
        words = " or ".join(_IN_WORDS[kind] for kind in kinds)
        raise ConfigError(f"{where}: {key} is {_shown(value)}; it must be {words}")
    if not isinstance(value, dict):
        return value
    for name, option in value.items():
        if option is not True and type(option) not in (str, int):
            raise ConfigError(
                f"{where}: option {name} is {_shown(option)}; it must be a string, an integer, or true for an"
                " option without a value"
            )
    return {name: "true" if option is True else str(option) for name, option in value.items()}


def _shown(value: Any) -> str:
    """A value in roughly TOML's notation."""
    return str(value).lower() if isinstance(value, bool) else repr(value)


def _likely(key: str) -> str:
    plain = key.strip("-").replace("-", "_").lower()
    near = difflib.get_close_matches(plain, _KINDS, n=1)
    meant = _OTHERS_NAMES.get(plain) or (near[0] if near else None)
    if meant is not None:
        return f"did you mean {meant}?"
    return f"known fields: {', '.join(_KINDS)}; further options of sbatch go into the table [sbatch]"


def _line(text: str, key: str) -> str:
    """``, line N`` of a top-level key or table; empty if it is not found, since the parser does not report lines."""
    name = re.escape(key)
    pattern = rf"\s*(?:[\"']?{name}[\"']?\s*[=.]|\[+\s*[\"']?{name}[\"']?\s*[\].])"
    for number, line in enumerate(text.splitlines(), start=1):
        if re.match(pattern, line):
            return f", line {number}"
    return ""
