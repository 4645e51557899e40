"""Make every row of a source in parallel, write nothing, and note what cannot be made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Protocol, runtime_checkable

from data_prep.errors import RawDataError
from data_prep.faults import DamagedPictures, Fault
from data_prep.pool import available_cores, run_in_processes
from data_prep.progress import Progress
from data_prep.sources import settable_options, source_named
from data_prep.sources.options import Option
from data_prep.sources.source import Source

_ROWS = 512
_ROWS_WORTH_PROCESSES = 5_000


@runtime_checkable
class LeavesOut(Protocol):
    """A source that can leave pictures out."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Reason → number of pictures that are in no split for it."""
        ...

    def without(self, faults: Sequence[Fault]) -> Source:
        """The same without these pictures, counted as damaged."""
        ...


@dataclass(frozen=True)
class _Reopened:
    """What a worker needs to open a source again."""

    name: str
    raw: Path | None
    options: tuple[tuple[str, Option], ...]


def damaged_rows(source: Source, workers: int | None, progress: Progress) -> list[Fault | RawDataError]:
    """All rows that cannot be made, in order: of a source that ``verified`` returned.

    An error that is not of single pictures stands for all of the rows that were made together.
    """
    chunks = [
        (split, start, min(start + _ROWS, rows))
        for split, rows in source.splits().items()
        for start in range(0, rows, _ROWS)
    ]
    rows = sum(source.splits().values())
    _source.cache_clear()  # raw files may have been repaired since
    workers = workers or (available_cores() if rows >= _ROWS_WORTH_PROCESSES else 1)
    look = partial(_faults, _Reopened(source.name, source.raw, tuple(settable_options(source).items())))
    found: dict[int, list[Fault | RawDataError]] = {}

    def note(result: tuple[int, list[Fault | RawDataError]]) -> None:
        found[result[0]] = result[1]
        _, start, stop = chunks[result[0]]
        progress.advance(stop - start)

    progress.begin("looking at every picture", total=rows)
    numbered = [(number, *chunk) for number, chunk in enumerate(chunks)]
    if min(workers, len(chunks)) > 1:
        run_in_processes(look, numbered, workers=min(workers, len(chunks)), on_result=note)
    else:
        for chunk in numbered:
            note(look(chunk))
    return [fault for number in sorted(found) for fault in found[number]]


def _faults(reopened: _Reopened, chunk: tuple[int, str, int, int]) -> tuple[int, list[Fault | RawDataError]]:
    number, split, start, stop = chunk
    try:
        _source(reopened).rows(split, start, stop)
    except DamagedPictures as error:
        return number, list(error.faults)
    except RawDataError as error:
        return number, [error]
    return number, []


@cache
def _source(reopened: _Reopened) -> Source:
    return source_named(reopened.name, reopened.raw, dict(reopened.options))
