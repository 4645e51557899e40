"""Pictures and lists into a raw folder: in parts, by any number of processes, and on where a killed run ended.

``drawing.json`` is written last: a folder without it is not finished. Pictures themselves are not flushed to the disk one
by one, which would take longer than drawing them; after a power cut a damaged one is found by whoever decodes it.
"""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.drawing.drawing import Drawing, Known, written
from data_prep.drawing.kinds import drawing_named
from data_prep.errors import ConfigError, RawDataError
from data_prep.files import atomic_write, remove_partial_files
from data_prep.lock import exclusive_lock
from data_prep.pool import run_in_processes
from data_prep.progress import Progress

RECORD_FILE = "drawing.json"
FACTORS_FILE, REGIONS_FILE, README_FILE = "factors.csv", "regions.csv", "README.txt"
_WORK_FOLDER = ".work"
_PART = 200
"""Pictures in a part: about two seconds' work, which is all that a killed run loses per process."""
_WORTH_PROCESSES = 3 * _PART


def draw_raw_folder(
    kind: str, folder: Path, *, count: int, seed: int, workers: int, progress: Progress
) -> Path:
    """Draw ``count`` pictures and write their lists into ``folder``, or find them there; returns ``folder``.

    The same (kind, count, seed) gives the same bytes, whatever ``workers`` is and however often the run was killed.
    ``RawDataError`` where the folder holds something else, ``ConfigError`` where the numbers make no sense.
    """
    if count < 1 or seed < 0:
        raise ConfigError(
            f"{count} pictures with the seed {seed} cannot be drawn: at least 1, and a seed of 0 or more"
        )
    drawing = drawing_named(kind)
    asked = {"kind": kind, "version": drawing.version, "count": count, "seed": seed}
    if _recorded(folder / RECORD_FILE, asked):
        return folder
    waiting = partial(progress.say, f"another process is drawing into {folder}; waiting for it to end")
    with exclusive_lock(folder.with_name(f".{folder.name}.lock"), waiting):
        if _recorded(folder / RECORD_FILE, asked):
            return folder
        work = folder / _WORK_FOLDER
        if not _recorded(work / RECORD_FILE, asked):
            if folder.is_dir() and any(folder.iterdir()):
                raise RawDataError(f"{folder} is not empty, and what is in it was not drawn by this command")
            _record(work / RECORD_FILE, asked)
        _draw_parts(folder, kind, count, seed, workers, progress)
        _write_lists(folder, drawing, count, seed)
        shutil.rmtree(work)
        remove_partial_files(folder)
        _record(folder / RECORD_FILE, asked)
    return folder


def _draw_parts(folder: Path, kind: str, count: int, seed: int, workers: int, progress: Progress) -> None:
    parts = range(math.ceil(count / _PART))
    todo = [part for part in parts if not _part_file(folder, part).exists()]
    progress.begin(f"drawing {kind}", total=count, done=count - sum(_size(part, count) for part in todo))
    run = partial(_draw_part, folder=folder, kind=kind, count=count, seed=seed)
    if min(workers, len(todo)) > 1 and len(todo) * _PART >= _WORTH_PROCESSES:
        run_in_processes(run, todo, workers=min(workers, len(todo)), on_result=progress.advance)
        return
    for part in todo:
        progress.advance(run(part))


def _draw_part(part: int, *, folder: Path, kind: str, count: int, seed: int) -> int:
    """Draw one part and write what is known of it, last; returns the number of its pictures."""
    drawing, known = drawing_named(kind), []
    for index in range(part * _PART, part * _PART + _size(part, count)):
        drawn = drawing.draw(seed, index)
        with written(folder, drawing.file(index, count)).open("wb") as file:
            Image.fromarray(drawn.pixels).save(file, format="JPEG", quality=drawn.jpeg_quality)
        known.append([drawn.known.labels, drawn.known.factors, drawn.known.regions])
    with atomic_write(_part_file(folder, part)) as record:
        record.write(json.dumps(known).encode())
    return len(known)


def _write_lists(folder: Path, drawing: Drawing, count: int, seed: int) -> None:
    known = []
    for part in range(math.ceil(count / _PART)):
        known += [Known(*each) for each in json.loads(_part_file(folder, part).read_text())]
    files = [drawing.file(index, count) for index in range(count)]
    factors, boxes = list(known[0].factors), list(known[0].regions)
    tables: dict[str, Iterable[str]] = {
        **drawing.lists(seed, count, known),
        FACTORS_FILE: [
            ",".join(["file", *factors]),
            *(
                ",".join([file, *(f"{each.factors[f]:.6g}" for f in factors)])
                for file, each in zip(files, known, strict=True)
            ),
        ],
        REGIONS_FILE: [
            "file,label,left,upper,right,lower",
            *(
                f"{file},{label},{','.join(map(str, each.regions[label]))}"
                for file, each in zip(files, known, strict=True)
                for label in boxes
            ),
        ],
        README_FILE: [
            drawing.notes, f"Made by: python -m data_prep.drawing {drawing.name} --count {count} --seed {seed}",
            f"{FACTORS_FILE}: the numbers that each picture was drawn from; the code says what they mean.",
            f"{REGIONS_FILE}: per picture and label the box that it may change, in pixels; right and lower exclusive.",
        ],
    }  # fmt: skip
    for name, lines in tables.items():
        with atomic_write(folder / name) as file:
            file.writelines(f"{line}\n".encode() for line in lines)


def _size(part: int, count: int) -> int:
    return min(_PART, count - part * _PART)


def _part_file(folder: Path, part: int) -> Path:
    return folder / _WORK_FOLDER / f"part-{part:05d}.json"


def _record(path: Path, asked: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(asked, indent=1).encode() + b"\n")


def _recorded(path: Path, asked: dict[str, Any]) -> bool:
    """Whether a record is there; ``RawDataError`` where it is of other pictures."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except (ValueError, NotADirectoryError) as error:
        raise RawDataError(f"{path} is damaged ({error}); remove {path.parent} and draw it again") from None
    if found != asked:
        differing = [
            f"{key} {found.get(key)!r}, not {value!r}"
            for key, value in asked.items()
            if found.get(key) != value
        ]
        raise RawDataError(
            f"{path} says that the pictures are others: {', '.join(differing)}; choose another folder"
        )
    return True
