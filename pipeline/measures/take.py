"""Computes measures one after another; each leaves its own result or failure."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import torch

from data_prep.errors import Interrupted, LeaseLost, full_disk_sentence
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Failure, MeasurementKey, Number, Result
from pipeline.measures.applies import why_not
from pipeline.measures.measure import DoesNotApply
from pipeline.measures.needs import Answer
from pipeline.measures.plan import Planned
from pipeline.measures.randomness import seed_everything, seed_of
from pipeline.measures.view import ModelView
from pipeline.raised import in_one_sentence

log = logging.getLogger(__name__)


def take_all(
    view: ModelView,
    cell: CellFolder,
    measures: Sequence[Planned],
    guard: Callable[[], None],
    taken: Callable[[], None] = lambda: None,
    draw: Callable[[MeasurementKey, Mapping[str, np.ndarray]], object] = lambda *_: None,
) -> list[tuple[str, str]]:
    """Compute these measures of a cell; returns the names of those that failed, each with a message.

    One during which a process was killed before comes last, so that it cannot block the others.

    Args:
        view: the trained model and the split.
        cell: receives the results.
        measures: the planned measures.
        guard: called before anything is written; raises LeaseLost if a newer copy of the run has taken over.
        taken: called after each measure that has left a result or a failure.
        draw: draws the figures of a result from its arrays.
    """
    suspects = [entry for entry in measures if entry.key.was_begun(cell.folder)]
    others = [entry for entry in measures if entry not in suspects]
    view = replace(view, answers=_answers_to(others, view))
    failed = []
    for number, entry in enumerate([*others, *suspects], start=1):
        view.examples.heartbeat()
        guard()
        entry.key.note_begin(cell.folder)
        log.info("measuring %s on %s (%d of %d)", entry.measure.name, entry.key.split, number, len(measures))
        try:
            result, arrays = _measured(view, entry)
            guard()
            _draw(draw, entry.key, arrays, cell)
            result.write(cell.folder, arrays)
            if result.status == "measured":
                log.info("%s took %.1f s", entry.measure.name, result.seconds)
        except (Interrupted, LeaseLost):
            entry.key.forget_begin(cell.folder)  # interrupted, not failed
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
        taken()
    return failed


def _answers_to(measures: Sequence[Planned], view: ModelView) -> frozenset[Answer]:
    """The outputs that the applicable measures need for every image."""
    manifest, has_readers = view.examples.data.manifest, view.load_readers is not None
    needs = [entry.measure.needs for entry in measures]
    return frozenset(
        answer
        for each in needs
        if why_not(each, view.model, manifest, has_readers) is None
        for answer in each.answers
    )


def _measured(view: ModelView, entry: Planned) -> tuple[Result, Mapping[str, np.ndarray]]:
    reason = why_not(
        entry.measure.needs, view.model, view.examples.data.manifest, view.load_readers is not None
    )
    if reason is not None:
        log.info("%s does not apply: %s", entry.measure.name, reason)
        return Result(key=entry.key, status="not_applicable", reason=reason, time=_now()), {}
    begin = time.monotonic()
    seed_everything(seed_of(view.identity, entry.key.folder_name))
    try:
        with torch.no_grad():
            found = entry.measure(view)
    except DoesNotApply as error:
        log.info("%s does not apply: %s", entry.measure.name, error)
        return Result(key=entry.key, status="not_applicable", reason=str(error), time=_now()), {}
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
    return Result(key=entry.key, numbers=numbers, seconds=seconds, time=_now()), found.arrays


def _draw(
    draw: Callable[[MeasurementKey, Mapping[str, np.ndarray]], object],
    key: MeasurementKey,
    arrays: Mapping[str, np.ndarray],
    cell: CellFolder,
) -> None:
    """Draw the figures of a result; numbers must not be lost because of a figure, which can be redrawn at any time."""
    try:
        draw(key, arrays)
    except (Interrupted, LeaseLost):
        raise
    except Exception as error:
        if full_disk_sentence(error) is not None:
            raise
        log.exception(
            "no figure of %s; to retry: python -m jobs.draw --config %s", key.measure, cell.config_file
        )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
