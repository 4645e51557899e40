"""Labels or values that a measure's setting names, joined by ``+``."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.errors import ConfigError


def positions_named(text: str, names: Sequence[str], origin: str, count: int | None = None) -> list[int]:
    """Positions of the named ones, however their case and spaces are written.

    Args:
        text: names joined by ``+``.
        names: all there are.
        origin: measure and setting, for the error.
        count: how many there must be; any number by default.

    Raises:
        ConfigError: a name that is not there or is given twice, or another number of names.
    """
    plain = [_plain(name) for name in names]
    given = [_plain(part) for part in text.split("+")]
    if len(set(given)) != len(given) or (count is not None and len(given) != count):
        number = "" if count is None else f"{count} "
        raise ConfigError(f"{origin} is {text!r}; it must be {number}different names joined by '+'")
    unknown = [part for part in given if part not in plain]
    if unknown:
        raise ConfigError(f"{origin} names {unknown[0]!r}; there are: {', '.join(names)}")
    return [plain.index(part) for part in given]


def positions_present(preferred: Sequence[str], names: Sequence[str]) -> list[int]:
    """Positions of those of the preferred names that are there."""
    plain = [_plain(name) for name in names]
    return [plain.index(_plain(name)) for name in preferred if _plain(name) in plain]


def _plain(name: str) -> str:
    return name.replace("_", " ").strip().lower()
