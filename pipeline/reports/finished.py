"""The finished runs that reports are made from, read from their folders; nothing here imports torch if they were tracked."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.errors import ConfigError
from pipeline.cells.folder import TRAINED_FILE, CellFolder
from pipeline.cells.measurements import Result, results
from pipeline.measures.measure import settings_off_default
from pipeline.measures.recorded import TEST
from pipeline.measures.registry import measure_named
from pipeline.tracking.measured import note_results
from pipeline.tracking.state import UploadState

_STAND_INS = {
    "drawn_faces": "celeba",
    "drawn_radiographs": "chexpert",
}
"""Data that need no licence, and the data set of a paper that they stand in for, with the same labels."""
_OF_A_PART = re.compile(r"'(count|count_seed|side)=\w+'")
"""Options by which data are fewer or smaller pictures of a paper's data set, whose place they then take."""
_READ_AS = re.compile(r"\bread_as=(\w+)")


@dataclass(frozen=True, kw_only=True, slots=True)
class FinishedRun:
    """A trained cell as a table reads it: what it was, and the newest numbers of its measures."""

    folder: Path
    run_id: str
    """Of its MLflow run, or its name if it was not tracked."""
    params: dict[str, str]
    metrics: dict[str, float]
    """By split and name, as in MLflow."""
    tags: dict[str, str]
    stands_for: str = ""
    """The data set whose place its own takes in a report; empty if it is the paper's."""

    @property
    def data(self) -> str:
        """Name of its own data set."""
        return self.stands_for or self.params.get("data.name", "")

    @property
    def original_data(self) -> str:
        """The data set that its own stands in for, empty for others.

        Of drawn faces the one that they are read as, of a part of a data set the whole.
        """
        name, options = self.params.get("data.name", ""), self.params.get("data.options", "")
        original = _STAND_INS.get(name, "")
        if original:
            read_as = _READ_AS.search(options)
            return read_as[1] if read_as else original
        is_part = _OF_A_PART.search(options) and not _OF_A_PART.sub("", options).strip("(), ")
        return name if is_part else ""

    @property
    def name(self) -> str:
        """Sweep and cell."""
        return f"{self.folder.parent.name}/{self.folder.name}"

    def newest_result(self, measure: str) -> Result | None:
        """Of a measure, by its name and settings, on the test split, if it applies; None if there is none."""
        wanted = measure_named(measure)
        settings = settings_off_default(wanted)
        mine = [
            each
            for each in results(self.folder)
            if (each.key.measure, each.key.split, each.status) == (wanted.name, TEST, "measured")
            and dict(each.key.settings) == settings
        ]
        return max(mine, key=lambda each: (each.key.version, each.time), default=None)

    def in_place_of(self, dataset: str) -> FinishedRun:
        """The run as if its data were unaltered ones of this name; ``stands_for`` tells."""
        params = self.params | {"data.name": dataset, "data.options": "()"}
        name, options = self.params["data.name"], self.params.get("data.options", "")
        own = (
            name
            if name != dataset
            else f"{name}, {' '.join(options.strip('(),').replace(chr(39), '').split())}"
        )
        return replace(self, params=params, stands_for=own)

    def shown_as(self, dataset: str) -> FinishedRun:
        """In place of a paper's data set if its own stands in for it, otherwise as it is."""
        return self.in_place_of(dataset) if self.original_data == dataset else self


def finished_runs(runs: Path, sweep: str | None = None) -> list[FinishedRun]:
    """Every trained cell of a sweep, or of all sweeps in a folder, the oldest first.

    Raises:
        ConfigError: there is no such folder.
    """
    folder = runs if sweep is None else runs / sweep
    if not folder.is_dir():
        raise ConfigError(f"there is no folder {folder} of {'runs' if sweep is None else 'a sweep'}")
    pattern = f"*/{TRAINED_FILE}" if sweep is not None else f"*/*/{TRAINED_FILE}"
    files = sorted(folder.glob(pattern), key=lambda file: (file.stat().st_mtime, file))
    return list(_runs_of([file.parent for file in files]))


def _runs_of(cells: list[Path]) -> Iterator[FinishedRun]:
    for cell in cells:
        state = UploadState.load(cell) or _untracked(cell)
        note_results(state, cell)
        measured = state.measured or {"metrics": {}, "tags": {}}
        yield FinishedRun(
            folder=cell,
            run_id=state.run_id or cell.name,
            params=state.params,
            metrics={name: float(text) for name, (text, _) in measured["metrics"].items()},
            tags=state.tags | measured["tags"],
        )


def _untracked(cell: Path) -> UploadState:
    """What would have been tracked."""
    from pipeline.cell import Cell  # imports torch
    from pipeline.config import flat
    from pipeline.measures.recorded import preset_tags
    from pipeline.models.nearest_preset import nearest_preset

    params = {
        name: str(value) for name, value in flat(Cell.open(CellFolder(cell).config_file).config).items()
    }
    preset = nearest_preset(params)
    tags = {} if preset is None else preset_tags(preset.name, preset.deviations)
    return UploadState(
        uri="", experiment="", parent_run_id=None, run_name=cell.name, params=params, tags=tags, data=None
    )
