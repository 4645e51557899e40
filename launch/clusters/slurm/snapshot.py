"""A snapshot of the code that a sweep's jobs run, so that editing files does not change waiting jobs."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path

from data_prep.files import atomic_folder
from pipeline.tracking import source_tags
from pipeline.tracking.source import SOURCE_FILE

FLOORS = ("data_prep", "pipeline", "jobs", "launch")
CODE = Path(__file__).resolve().parents[3]
"""The root of the code: the folder of the four packages."""


def snapshot_folder(sweep: Path, content: dict[str, bytes]) -> Path:
    """``<sweep>/code/<digest>``: the folder of a copy of this content."""
    digest = hashlib.sha256()
    for name, data in sorted(content.items()):
        digest.update(f"{name}\0{len(data)}\0".encode())
        digest.update(data)
    return sweep / "code" / digest.hexdigest()[:12]


def code_content(code: Path = CODE) -> dict[str, bytes]:
    """The current files of the four packages, and their commit: name → bytes."""
    tags = {name: value for name, value in source_tags().items() if "git" in name}
    files = {str(path.relative_to(code)): path.read_bytes() for path in _files(code)}
    return files | {SOURCE_FILE: json.dumps(tags, indent=1).encode()}


def take_snapshot(sweep: Path) -> Path:
    """Copy the code into the sweep's folder, unless the same copy exists; returns the copy.

    A folder of that name is always complete.
    """
    content = code_content()
    folder = snapshot_folder(sweep, content)
    if folder.is_dir():
        return folder
    with atomic_folder(folder) as partial:  # another launcher may be faster
        for name, data in content.items():
            path = partial / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
    return folder


def _files(code: Path) -> Iterator[Path]:
    """Hidden files are left out: they belong to editors and tools, and may be private."""
    for floor in FLOORS:
        for folder, folders, files in os.walk(code / floor):
            folders[:] = sorted(name for name in folders if name != "__pycache__" and name[0] != ".")
            for name in sorted(files):
                path = Path(folder, name)
                if name[0] != "." and path.suffix not in (".pyc", ".pyo") and path.is_file():
                    yield path
