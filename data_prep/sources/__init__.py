"""Sources by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from pathlib import Path

from data_prep.errors import ConfigError
from data_prep.sources.mnist import fashion_mnist, idx_folder, mnist
from data_prep.sources.source import Source
from data_prep.sources.transformed_mnist import transformed_fashion_mnist, transformed_mnist

SOURCES: dict[str, Callable[[Path | None], Source]] = {
    "fashion_mnist": fashion_mnist,
    "idx_folder": idx_folder,
    "mnist": mnist,
    "transformed_fashion_mnist": transformed_fashion_mnist,
    "transformed_mnist": transformed_mnist,
}


class UnknownSource(ConfigError):
    """No source has this name; the sentence lists those there are, the closest first."""


def canonical_name(name: str) -> str:
    """``fashion-mnist`` → ``fashion_mnist``; ``UnknownSource`` if there is none of that name."""
    canonical = name.strip().lower().replace("-", "_")
    if canonical in SOURCES:
        return canonical
    names = ", ".join(sorted(SOURCES))
    close = difflib.get_close_matches(canonical, SOURCES, n=1)
    meant = f"did you mean {close[0]}? " if close else ""
    raise UnknownSource(f"there is no data set named {name!r}: {meant}There are {names}")


def source_named(name: str, raw: Path | None = None) -> Source:
    """The source of this name; ``raw`` is the folder that holds its raw files, if the user named one."""
    return SOURCES[canonical_name(name)](None if raw is None else Path(raw).expanduser().absolute())
