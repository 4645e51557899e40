"""Atomic writes: a temporary file or folder next to it, flushed to the disk, then renamed."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

PARTIAL_SUFFIX = ".partial"


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary name next to ``path``; it becomes ``path`` if the block succeeds, and is removed if not.

    For writers that need a file name; with a handle, ``atomic_write`` is simpler. The folder of ``path``
    is made if it is missing. An ``OSError`` without a file name (a full disk), or with the temporary name, is raised
    with the name ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    try:
        with naming(path, instead_of=partial):
            yield partial
            flush(partial)
            partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    flush(path.parent)


@contextmanager
def naming(path: Path, instead_of: Path | None = None) -> Iterator[None]:
    """In the block, an ``OSError`` without a file name (a write to a full disk), or with this other one, gets ``path``."""
    try:
        yield
    except OSError as error:
        if error.errno is not None and (error.filename is None or str(error.filename) == str(instead_of)):
            error.filename = str(path)
        raise


@contextmanager
def atomic_write(path: Path) -> Iterator[BinaryIO]:
    """Yield a binary file that becomes ``path``, flushed to the disk, when the block ends without an exception."""
    with atomic_path(path) as partial, partial.open("xb") as file:
        yield file


@contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yield a new empty folder next to ``path``; it becomes ``path``, flushed to the disk, if the block succeeds.

    Where another process has made ``path`` in the meantime, that one stays.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL_SUFFIX}")
    partial.mkdir()
    try:
        yield partial
        with ThreadPoolExecutor(8) as pool:  # file systems flush many files together faster than one by one
            list(pool.map(flush, [partial, *partial.rglob("*")]))
        try:
            partial.rename(path)
        except OSError:
            if not path.is_dir():
                raise
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    flush(path.parent)


def flush(path: Path) -> None:
    """Flush a file's content, or a folder's entries, so that they survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_partial_files(folder: Path) -> None:
    """Remove what killed writers left in ``folder`` (not in the folders below it)."""
    for partial in folder.glob(f".*{PARTIAL_SUFFIX}"):
        partial.unlink(missing_ok=True)


def checksum(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal checksum of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()
