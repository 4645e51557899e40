"""Draw pictures and lists into a raw folder: in parts, by any number of processes, resumable if killed.

``drawing.json`` is written last: a folder without it is not finished. Pictures themselves are not flushed to the disk one
by one, which would take longer than drawing them; one damaged by a power cut is found when it is decoded. No
process holds more than the records of one part, however many pictures there are.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image

from data_prep.drawing.drawing import Drawing, Known, written
from data_prep.drawing.kinds import drawing_named
from data_prep.errors import ConfigError, RawDataError
from data_prep.files import atomic_write, remove_partial_files
from data_prep.lock import exclusive_lock
from data_prep.pool import available_cores, check_workers, run_in_processes
from data_prep.progress import Progress

RECORD_FILE = "drawing.json"
FACTORS_FILE, REGIONS_FILE, README_FILE = "factors.csv", "regions.csv", "README.txt"
_WORK_FOLDER = ".work"
_PART = 200
"""Pictures in a part: a few seconds of work, the most that a killed run loses per process."""
_WORTH_PROCESSES = 600
"""The number of pictures that takes longer to draw than a process takes to start."""


def draw_raw_folder(
    kind: str, folder: Path, *, count: int, seed: int, workers: int | None, progress: Progress, part: int = _PART
) -> Path:  # fmt: skip
    """Draw ``count`` pictures and write their lists into ``folder``, or find them there; returns ``folder``.

    The same (kind, count, seed) gives the same bytes, for any number of ``workers`` (None: up to one per core)
    and however often the run was killed. Progress is recorded after every ``part`` pictures.
    ``RawDataError`` if the folder holds something else, ``ConfigError`` if the numbers are invalid.
    """
    check_numbers(count, seed)
    check_workers(workers)
    drawing = drawing_named(kind)
    settings = {"kind": kind, "version": drawing.version, "count": count, "seed": seed}
    if _recorded(folder / RECORD_FILE, settings):
        return folder
    waiting = partial(progress.say, f"another process is drawing into {folder}; waiting for it to end")
    with exclusive_lock(folder.with_name(f".{folder.name}.lock"), waiting):
        if _recorded(folder / RECORD_FILE, settings):
            return folder
        work = folder / _WORK_FOLDER
        if not _recorded(work / RECORD_FILE, settings):
            if folder.is_dir() and any(entry != work for entry in folder.iterdir()):
                raise RawDataError(f"{folder} is not empty, and its content was not drawn by this command")
            _record(work / RECORD_FILE, settings)
        parts = [range(start, min(start + part, count)) for start in range(0, count, part)]
        _draw_parts(folder, parts, kind, count, seed, workers, progress)
        _write_lists(folder, parts, drawing, count, seed)
        remove_partial_files(folder)
        _record(folder / RECORD_FILE, settings)
        shutil.rmtree(work)
    return folder


def check_numbers(count: int, seed: int) -> None:
    """``ConfigError`` unless ``count`` and ``seed`` are valid."""
    if count < 1 or seed < 0:
        raise ConfigError(
            f"{count} pictures with the seed {seed} cannot be drawn: at least 1, and a seed of 0 or more"
        )


def _draw_parts(
    folder: Path, parts: list[range], kind: str, count: int, seed: int, workers: int | None, progress: Progress
) -> None:  # fmt: skip
    todo = [part for part in parts if not _part_file(folder, part).exists()]
    missing = sum(map(len, todo))
    progress.begin(f"drawing {kind}", total=count, done=count - missing)
    run = partial(_draw_part, folder=folder, kind=kind, count=count, seed=seed)
    workers = min(workers or (available_cores() if missing >= _WORTH_PROCESSES else 1), len(todo))
    if workers > 1:
        run_in_processes(run, todo, workers=workers, on_result=progress.advance)
        return
    for part in todo:
        progress.advance(run(part))


def _draw_part(part: range, *, folder: Path, kind: str, count: int, seed: int) -> int:
    """Draw one part and write its record last; returns the number of its pictures."""
    drawing, known = drawing_named(kind), []
    for index in part:
        drawn = drawing.draw(seed, index)
        with written(folder, drawing.file(index, count)).open("wb") as file:
            Image.fromarray(drawn.pixels).save(file, format="JPEG", quality=drawn.jpeg_quality)
        known.append([drawn.known.labels, drawn.known.factors, drawn.known.regions])
    with atomic_write(_part_file(folder, part)) as record:
        record.write(json.dumps(known).encode())
    return len(known)


def _write_lists(folder: Path, parts: list[range], drawing: Drawing, count: int, seed: int) -> None:
    def known() -> Iterator[Known]:
        for part in parts:
            for labels, factors, boxes in json.loads(_part_file(folder, part).read_text()):
                yield Known(labels, factors, {label: tuple(box) for label, box in boxes.items()})

    tables = {
        **drawing.lists(seed, count, known),
        FACTORS_FILE: _factor_lines(drawing, count, known()),
        REGIONS_FILE: _region_lines(drawing, count, known()),
        README_FILE: [
            drawing.notes, f"Made by: python -m data_prep.drawing {drawing.name} --count {count} --seed {seed}",
            f"{FACTORS_FILE}: the numbers that each picture was drawn from; the code says what they mean.",
            f"{REGIONS_FILE}: per picture and label the box that it may change, in pixels; right and lower exclusive.",
        ],
    }  # fmt: skip
    for name, lines in tables.items():
        with atomic_write(folder / name) as file:
            file.writelines(f"{line}\n".encode() for line in lines)


def _factor_lines(drawing: Drawing, count: int, known: Iterable[Known]) -> Iterator[str]:
    yield ",".join(["file", *drawing.factors])
    for index, each in enumerate(known):
        values = (f"{each.factors[factor]:.6g}" for factor in drawing.factors)
        yield ",".join([drawing.file(index, count), *values])


def _region_lines(drawing: Drawing, count: int, known: Iterable[Known]) -> Iterator[str]:
    yield "file,label,left,upper,right,lower"
    for index, each in enumerate(known):
        for label in drawing.labels:
            yield f"{drawing.file(index, count)},{label},{','.join(map(str, each.regions[label]))}"


def _part_file(folder: Path, part: range) -> Path:
    return folder / _WORK_FOLDER / f"part-{part.start:08d}-{part.stop:08d}.json"


def _record(path: Path, settings: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(settings, indent=1).encode() + b"\n")


def _recorded(path: Path, settings: dict[str, Any]) -> bool:
    """Whether a record exists; ``RawDataError`` if it is of other pictures."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return False
    except ValueError as error:
        raise RawDataError(f"{path} is damaged ({error}); remove {path.parent} and draw it again") from None
    if found != settings:
        differing = [
            f"{key} {found.get(key)!r}, not {value!r}"
            for key, value in settings.items()
            if found.get(key) != value
        ]
        raise RawDataError(f"{path} belongs to other pictures: {', '.join(differing)}; choose another folder")
    return True
