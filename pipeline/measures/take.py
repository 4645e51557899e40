"""Takes measures one after another; each leaves a result or a failure of its own."""

from __future__ import annotations

import logging
import time
import traceback
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from data_prep.errors import Interrupted, LeaseLost, UserError, full_disk_sentence
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Failure, Number, Result
from pipeline.measures.needs import why_not
from pipeline.measures.plan import Planned
from pipeline.measures.randomness import seed_everything, seed_of
from pipeline.measures.view import ModelView

log = logging.getLogger(__name__)


def take_all(
    view: ModelView, cell: CellFolder, wanted: Sequence[Planned], guard: Callable[[], None]
) -> list[tuple[str, str]]:
    """Take these measures of a cell; returns the names of those that failed, each with a sentence.

    One that a process was killed in before comes after all others, so that it cannot keep them from their results.

    Args:
        view: the trained model and the split.
        cell: where results go.
        wanted: what is to be measured.
        guard: asked before anything is written; raises LeaseLost where a newer copy of the run has taken over.
    """
    failed = []
    for entry in sorted(wanted, key=lambda entry: entry.key.was_begun(cell.folder)):
        view.examples.heartbeat()
        guard()
        entry.key.note_begin(cell.folder)
        try:
            result, arrays = _measured(view, cell, entry)
            guard()
            result.write(cell.folder, arrays)
        except (Interrupted, LeaseLost):
            entry.key.forget_begin(cell.folder)  # nothing is wrong with it
            raise
        except Exception as error:
            if full_disk_sentence(error) is not None:
                raise
            reason = in_one_sentence(error)
            log.exception("%s failed:", entry.measure.name)
            guard()
            Failure(key=entry.key, reason=reason, time=_now()).write(cell.folder)
            failed.append((entry.measure.name, reason))
        entry.key.forget_begin(cell.folder)
    return failed


def _measured(
    view: ModelView, cell: CellFolder, entry: Planned
) -> tuple[Result, dict[str, np.ndarray] | None]:
    reason = why_not(entry.measure.needs, view.model, view.examples.data.manifest)
    if reason is not None:
        log.info("%s does not apply: %s", entry.measure.name, reason)
        return Result(key=entry.key, status="not_applicable", reason=reason, time=_now()), None
    begin = time.monotonic()
    seed_everything(seed_of(view.identity, entry.key.folder_name))
    found = entry.measure(view)
    metrics = entry.measure.metrics
    numbers = {
        name: Number(
            value=value,
            unit=metrics[name].unit,
            better=metrics[name].better,
            count=found.counts.get(name),
        )
        for name, value in found.numbers.items()
    }
    seconds = time.monotonic() - begin
    return Result(key=entry.key, numbers=numbers, seconds=seconds, time=_now()), dict(found.arrays)


def in_one_sentence(error: Exception) -> str:
    """A user error's own sentence; for a bug its type, the last line of what it says, and where it was raised."""
    if isinstance(error, UserError):
        return str(error)
    said = str(error).strip().splitlines() or [""]
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({'/'.join(Path(frames[-1].filename).parts[-2:])}:{frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}{': ' if said[-1] else ''}{said[-1]}{where}"


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
