"""Planned measures of a cell, and those that are still missing; without importing torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import ConfigError
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import MeasurementKey
from pipeline.measures.measure import Measure, key_of
from pipeline.measures.registry import measure_named
from pipeline.measures.settings import MeasuresConfig


@dataclass(frozen=True, slots=True)
class Planned:
    """A planned measure, and the key of its result."""

    measure: Measure
    key: MeasurementKey


def planned(measures: MeasuresConfig) -> list[Planned]:
    """The measures that a configuration names, in its order."""
    chosen = [measure_named(text) for text in measures.take]
    return [
        Planned(measure, key_of(measure, measures.split, rests_on=_rests_on(measure, measures.readers)))
        for measure in chosen
    ]


def needs_readers(measures: MeasuresConfig) -> bool:
    """Whether one of these measures rests on label readers."""
    return any("label_readers" in measure_named(text).needs.extras for text in measures.take)


def _rests_on(measure: Measure, readers: Sequence[str]) -> dict[str, str]:
    """The identities of the trained models that a measure depends on, known before they are trained."""
    if "label_readers" not in measure.needs.extras or not readers:
        return {}
    return {"label_readers": "+".join(sorted(Path(folder).name.rpartition("-")[2] for folder in readers))}


def unsettled(cell: CellFolder, measures: MeasuresConfig | None = None) -> list[Planned]:
    """The measures without a result in the cell's folder; by default those of the cell's own configuration.

    Raises:
        ConfigError: the cell's ``config.json`` cannot be read, or names a measure that there is not.
    """
    wanted = planned(cell.measures_config() if measures is None else measures)
    return [entry for entry in wanted if not entry.key.is_settled(cell.folder)]


def is_done(cell: CellFolder, measures: MeasuresConfig | None = None) -> bool:
    """Whether the cell is trained and has a result of each of these measures: nothing is left to run.

    By default of those that the cell's own configuration names.
    """
    if not cell.is_trained():
        return False
    try:
        return not unsettled(cell, measures)
    except ConfigError:  # reported when the cell is run
        return False
