"""From a recipe to cells: data prepared, identities known, folders made."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from data_prep.plan import data_set_folder
from data_prep.sources import source_named
from data_prep.stages import prepare
from pipeline.cell import Cell
from pipeline.config import RunConfig
from pipeline.tracking import TrackingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPlaces:
    """Where raw and prepared data are."""

    raw: Path | None = None
    """Folder of the raw files; without it they are looked for where packages put them, in the cache, on the net."""
    data_root: Path = Path("data")
    """Folder of the prepared data sets."""

    def folder(self, name: str) -> Path:
        """Where a data set is, or will be."""
        return data_set_folder(source_named(name, self.raw), self.data_root).absolute()

    def prepared(self, name: str, *, ffcv: bool) -> Path:
        """The folder of a data set, prepared now if it is not there; with FFCV files where they are wanted."""
        return prepare(
            name, raw=self.raw, root=self.data_root, formats="ffcv" if ffcv else "arrow"
        ).absolute()


def located(runs: Iterable[RunConfig], places: DataPlaces) -> list[RunConfig]:
    """The runs with the canonical name of their data set and the folder it is, or will be, in."""
    located_runs = []
    for run in runs:
        name = source_named(run.data.name, places.raw).name
        located_runs.append(replace(run, data=replace(run.data, name=name, folder=str(places.folder(name)))))
    return located_runs


def planned_cells(runs: Iterable[RunConfig], sweep: Path) -> list[Cell]:
    """The cells of located runs; nothing is written."""
    return [Cell.named(sweep, run, _digest(Path(run.data.folder))) for run in runs]


def make_cells(
    runs: Iterable[RunConfig], sweep: Path, places: DataPlaces, tracking: TrackingSettings
) -> list[Cell]:
    """Prepare the data that is not there, and write the ``config.json`` of each cell."""
    runs = [replace(run, tracking=tracking) for run in runs]
    for name in dict.fromkeys(run.data.name for run in runs):
        places.prepared(name, ffcv=any(run.data.loader == "ffcv" for run in runs if run.data.name == name))
    cells = planned_cells(runs, sweep)
    for cell in cells:
        cell.write()
    return cells


def _digest(folder: Path) -> str:
    """A data set's folder ends with its digest, which is known before it is prepared."""
    return folder.name.rpartition("-")[2]
