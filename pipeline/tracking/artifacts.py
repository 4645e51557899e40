"""Figures, tables and config of a cell, each version uploaded once."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.tracking.run import RunInStore
from pipeline.tracking.state import UploadState, inside

if TYPE_CHECKING:
    from collections.abc import Callable

    from mlflow import MlflowClient


def digest(path: Path) -> str:
    """SHA-256 of a file; computed again only when the file was written again."""
    now = path.stat()
    return _digest(path, now.st_mtime_ns, now.st_size)


@lru_cache(maxsize=1024)
def _digest(path: Path, mtime_ns: int, size: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def note_artifact(state: UploadState, cell: Path, path: Path, folder: str) -> None:
    """Mark a file of a cell, or the files in a folder, for upload into ``folder``.

    Without ``folder`` a file goes to the top level, and a folder's files go under that folder's own name.
    """
    if path.is_dir() and not folder:
        folder = path.name
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    for file in files:
        name = file.name if path.is_file() else file.relative_to(path).as_posix()
        target = f"{folder.strip('/')}/{name}".lstrip("/")
        state.artifacts.setdefault(target, {"sent": ""})["source"] = inside(cell, str(file.absolute()))


def send_artifacts(
    client: MlflowClient, run: RunInStore, state: UploadState, cell: Path, save: Callable[[], None]
) -> int:
    """Upload the files that changed since their last upload; missing ones are skipped.

    Uploading a file again replaces it in the store, so a lost response is harmless.

    Returns:
        Number of files uploaded.
    """
    count = 0
    for target, entry in list(state.artifacts.items()):
        source = cell / entry["source"]
        if not source.is_file() or entry["sent"] == (sent := digest(source)):
            continue
        client.log_artifact(run.run_id, str(source), target.rpartition("/")[0] or None)
        entry["sent"] = sent
        save()
        count += 1
    return count


def forget_missing_artifacts(client: MlflowClient, run: RunInStore, state: UploadState, cell: Path) -> None:
    """Mark for upload what the store lacks, or has in another size."""
    there: dict[str, dict[str, int | None]] = {}
    for target, entry in state.artifacts.items():
        folder = target.rpartition("/")[0]
        if folder not in there:
            listed = client.list_artifacts(run.run_id, folder or None)
            there[folder] = {item.path: item.file_size for item in listed if not item.is_dir}
        source = cell / entry["source"]
        if source.is_file() and there[folder].get(target) != source.stat().st_size:
            entry["sent"] = ""
