"""Where raw files are found: a folder named by the user, a system package, the cache, a download."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from data_prep.errors import RawDataError
from data_prep.progress import Progress

_CONNECT_SECONDS, _READ_SECONDS = 10, 60
_BLOCK = 1 << 16


def cache_folder(name: str) -> Path:
    """Where downloads of one source are stored: ``$XDG_CACHE_HOME/traitvae/raw/NAME`` (``~/.cache`` by default)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if os.path.isabs(base) else Path.home() / ".cache"
    return root / "traitvae" / "raw" / name


def find_in(folder: Path, spellings: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Raw file → path of those files that are in ``folder`` under one of their spellings (relative paths)."""
    found = {}
    for file, names in spellings.items():
        path = next((folder / n for n in names if (folder / n).is_file()), None)
        if path is not None:
            found[file] = path
    return found


def archives_in(folder: Path) -> str:
    """For the end of a message about something that is missing: the archives that are there and may hold it."""
    if not folder.is_dir():
        return ""
    endings = (".zip", ".7z", ".rar", ".tar", ".tar.gz", ".tgz")
    found = sorted(p.name for p in folder.iterdir() if p.is_file() and p.name.lower().endswith(endings))
    if not found:
        return ""
    others = f" and {len(found) - 3} more" if found[3:] else ""
    return f" (archives that are there: {', '.join(found[:3])}{others}; were they unpacked completely?)"


def download(
    name: str, files: Sequence[str], *, mirrors: Sequence[str], folder: Path, looked_in: Sequence[Path],
    progress: Progress,
) -> None:  # fmt: skip
    """Download ``files`` into ``folder`` from the first mirror that answers, resuming partial downloads.

    Downloads are verified on unpacking. If no mirror answers, ``RawDataError`` says which files to put where.
    """
    for file in files:
        if (folder / file).is_file():
            continue
        failures = []
        for mirror in mirrors:
            try:
                progress.say(f"{name}: downloading {mirror}{file}")
                _retrieve(f"{mirror}{file}", folder / file, progress)
                break
            except OSError as error:  # requests' own errors are OSErrors
                failures.append(f"{mirror}: {_short(error)}")
        else:
            places = ", ".join(str(p) for p in looked_in)
            raise RawDataError(
                f"the raw files of {name} are not in {places} and {file} cannot be downloaded "
                f"({'; '.join(failures)}); put {_listed(files)} into {folder}, or name their folder with --raw"
            )


def _retrieve(url: str, target: Path, progress: Progress) -> None:
    import pooch  # here, because requests takes a third of a second to import

    def resuming(url: str, output_file: Any, pooch_object: Any) -> None:
        """A pooch downloader that keeps a partial file when the connection breaks, and resumes it."""
        part = target.with_name(target.name + ".part")
        _fetch(url, part, progress)
        shutil.move(part, output_file)

    pooch.get_logger().setLevel("WARNING")
    pooch.retrieve(url, known_hash=None, fname=target.name, path=target.parent, downloader=resuming)


def _fetch(url: str, part: Path, progress: Progress) -> None:
    import requests

    have = part.stat().st_size if part.exists() else 0
    headers = (
        {"Range": f"bytes={have}-", "Accept-Encoding": "identity"}
        if have
        else {"Accept-Encoding": "identity"}
    )
    with requests.get(url, headers=headers, stream=True, timeout=(_CONNECT_SECONDS, _READ_SECONDS)) as answer:
        if answer.status_code == requests.codes.requested_range_not_satisfiable:
            part.unlink()  # not the beginning of this file: the next try starts over
        answer.raise_for_status()
        if answer.status_code != requests.codes.partial_content:
            have = 0
        length = int(answer.headers.get("Content-Length", 0))
        progress.begin(part.stem, total=have + length, done=have)
        part.parent.mkdir(parents=True, exist_ok=True)
        with part.open("ab" if have else "wb") as file:
            for block in answer.iter_content(_BLOCK):
                file.write(block)
                progress.advance(len(block))
            got = file.tell()
    if length and got != have + length:
        raise OSError(f"the connection broke off after {got} of {have + length} bytes")


def _short(error: OSError) -> str:
    cause: BaseException = error
    while (inner := getattr(cause, "reason", None) or (cause.args[0] if cause.args else None)) and isinstance(
        inner, BaseException
    ):
        cause = inner
    return str(cause).strip().rstrip(".") or type(cause).__name__


def _listed(names: Sequence[str] | Mapping[str, Any]) -> str:
    return ", ".join(names)
