"""A store that is a SQLite file: made whole, and usable after its folder was moved."""

from __future__ import annotations

import glob
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote, urlsplit

from data_prep.errors import TrackingError
from data_prep.files import PARTIAL_SUFFIX, atomic_path

ARTIFACTS_FOLDER = "mlartifacts"
"""Folder next to the file, with a folder of artifacts for each experiment."""
_PLACES = (
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
)
"""Tables and columns with the absolute address of a folder for artifacts."""


def artifact_location(store: Path, experiment: str) -> str:
    """Address of the folder for an experiment's artifacts."""
    return (store.parent / ARTIFACTS_FOLDER / experiment).absolute().as_uri()


def make_store(store: Path, fill: Callable[[str], None]) -> None:
    """Create a store that does not exist: ``fill`` gets the address of a file next to it, which is renamed when complete.

    MLflow makes its forty tables one by one, and cannot open a file that was left with half of them.

    Raises:
        TrackingError: the disk is full, for example.
    """
    if store.exists() and store.stat().st_size > 0:
        return
    store.parent.mkdir(parents=True, exist_ok=True)
    try:
        _remove_partial(store)
        with atomic_path(store) as partial:
            fill(f"sqlite:///{partial}")
    except OSError as error:
        raise TrackingError(
            f"the MLflow store {store} cannot be created: {error.strerror or error}"
        ) from None
    finally:
        _remove_partial(store)


def _remove_partial(store: Path) -> None:
    """Remove half-made stores, with their journals, also those of a process that was killed; the caller has the lock."""
    for partial in store.parent.glob(f".{glob.escape(store.name)}.*{PARTIAL_SUFFIX}*"):
        partial.unlink(missing_ok=True)


def move_artifact_roots(store: Path) -> int:
    """Adapt the addresses of artifacts to the present folder of a store that was moved or copied with its ``mlartifacts``.

    Returns:
        Number of experiments whose artifacts had another place. Those that a user placed elsewhere stay.
    """
    here = (store.parent / ARTIFACTS_FOLDER).absolute()
    with closing(sqlite3.connect(store, timeout=60)) as database, database:
        old_roots = set()
        moved = 0
        for (location,) in database.execute("SELECT artifact_location FROM experiments"):
            root, marked, _ = (location or "").rpartition(f"/{ARTIFACTS_FOLDER}/")
            old = f"{root}/{ARTIFACTS_FOLDER}"
            if not marked or not root.startswith("file:/") or old == here.as_uri():
                continue
            if here.is_dir() or not Path(unquote(urlsplit(old).path)).exists():
                old_roots.add(old)
                moved += 1
        for old in old_roots:
            for table, column in _PLACES:
                database.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?)"
                    f" WHERE substr({column}, 1, ?) = ?",
                    (f"{here.as_uri()}/", len(old) + 2, len(old) + 1, f"{old}/"),
                )
    return moved
