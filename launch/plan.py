"""From a recipe to cells: locating data sets, computing identities, making folders."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated

from data_prep.errors import MissingDependencyError
from data_prep.manifest import MANIFEST_FILE, Manifest
from data_prep.plan import data_set_folder
from data_prep.shards.beton import INSTALL_FFCV, ffcv_is_installed
from data_prep.sources import source_named
from data_prep.sources.options import Option, parsed_options
from data_prep.sources.source import Source
from data_prep.stages import is_complete, prepare
from launch.command_line import described
from pipeline.cell import Cell
from pipeline.config import RunConfig, network_of
from pipeline.models.parts.image_vae import ImageVAEConfig, settled
from pipeline.own_source import OwnSource, is_own
from pipeline.tracking import TrackingSettings


@dataclass(frozen=True, kw_only=True, slots=True)
class DataPlaces:
    """Locations of raw and prepared data."""

    raw: Annotated[Path | None, described("FOLDER")] = None
    """folder of the raw files (default: where system packages put them, the cache, a download)"""
    data_root: Path = Path("data")
    """folder of the prepared data sets"""

    def folder(self, source: Source) -> Path:
        """The folder of a source's data set, prepared or not."""
        return data_set_folder(source, self.data_root).absolute()


@dataclass(frozen=True, kw_only=True, slots=True)
class NeededData:
    """A data set that runs need."""

    name: str
    folder: Path
    """Its folder, prepared or not; absolute."""
    raw: Path | None
    """Folder of the raw files, if the user named one."""
    ffcv: bool
    """Whether its FFCV files are needed."""
    options: Mapping[str, Option] = field(default_factory=dict)
    """Options of the source; the others have their defaults."""
    seed: int = 0
    """Decides the supervision ranks that its shards store."""
    place_option: str = "--data-root"
    """The flag that chose the folder above its own."""

    def source(self) -> Source:
        """The source of its rows."""
        return source_named(self.name, self.raw, self.options)

    def is_ready(self) -> bool:
        """Whether it is prepared, with everything that is needed."""
        return is_complete(self.folder, betons=self.ffcv)

    def prepare_here(self) -> None:
        """Prepare it on this machine, unless it is prepared."""
        prepare(
            self.name,
            raw=self.raw,
            options=self.options,
            root=self.folder.parent,
            formats="ffcv" if self.ffcv else "arrow",
            place_option=self.place_option,
        )


def located(runs: Iterable[RunConfig], places: DataPlaces) -> list[RunConfig]:
    """The runs with the canonical name of their data set, its folder, and networks of the user's own by their absolute path.

    Raises:
        ConfigError: a run's networks do not fit its images.
    """
    found: dict[tuple[str, tuple[str, ...]], tuple[Source, Path]] = {}
    located_runs = []
    for run in runs:
        key = run.data.name, run.data.options
        if key not in found:  # finding the folder may require reading all raw files
            source = source_named(run.data.name, places.raw, parsed_options(run.data.options))
            found[key] = source, places.folder(source)
        source, folder = found[key]
        model = run.model
        if isinstance(model, ImageVAEConfig):
            model = settled(model, _image_shape(source, folder))
        data = replace(run.data, name=source.name, folder=str(folder))
        located_runs.append(replace(run, data=data, model=model))
    return located_runs


def planned_cells(runs: Iterable[RunConfig], sweep: Path) -> list[Cell]:
    """The cells of located runs; nothing is written."""
    return [Cell.named(sweep, run, _digest(Path(run.data.folder))) for run in runs]


def needed_data(runs: Iterable[RunConfig], places: DataPlaces) -> list[NeededData]:
    """The data sets of located runs, each once, prepared or not.

    Raises:
        MissingDependencyError: a run reads FFCV files, and FFCV is not installed.
    """
    with_ffcv: dict[tuple[str, str, tuple[str, ...]], bool] = {}
    for run in runs:
        key = run.data.name, run.data.folder, run.data.options
        with_ffcv[key] = with_ffcv.get(key, False) or run.data.loader == "ffcv"
    if any(with_ffcv.values()) and not ffcv_is_installed():
        raise MissingDependencyError(INSTALL_FFCV)
    return [
        NeededData(name=name, folder=Path(folder), raw=places.raw, ffcv=ffcv, options=parsed_options(options))
        for (name, folder, options), ffcv in with_ffcv.items()
    ]


def write_cells(
    cells: Iterable[Cell], tracking: TrackingSettings, *, reset_failure: bool = False
) -> list[Cell]:
    """Write the ``config.json`` of each cell with that tracking; ``reset_failure``: failed cells are retried."""
    tracked = [Cell(cell.folder, replace(with_network_copied(cell), tracking=tracking)) for cell in cells]

    def write(cell: Cell) -> None:
        cell.write()
        if reset_failure:
            cell.reset_failure()

    # Each file is flushed to the disk, which is slow: a thousand one after another would take a minute.
    with ThreadPoolExecutor(32) as writers:
        for _ in writers.map(write, tracked):
            pass
    return tracked


def with_network_copied(cell: Cell) -> RunConfig:
    """The cell's configuration; a network of the user's is copied into the sweep's folder, and named there.

    So the user may edit it while jobs wait, or afterwards.
    """
    model, network = cell.config.model, network_of(cell.config)
    if not isinstance(model, ImageVAEConfig) or not is_own(network):
        return cell.config
    copy = OwnSource.read(network).copied_into(cell.folder.parent)
    return replace(cell.config, model=replace(model, network=copy))


def make_cells(
    runs: Iterable[RunConfig], sweep: Path, places: DataPlaces, tracking: TrackingSettings
) -> list[Cell]:
    """Prepare missing data here, and write the ``config.json`` of each cell."""
    runs = list(runs)
    for data in needed_data(runs, places):
        data.prepare_here()
    return write_cells(planned_cells(runs, sweep), tracking)


def _digest(folder: Path) -> str:
    """The digest at the end of a data set's folder name, which is known before it is prepared."""
    return folder.name.rpartition("-")[2]


def _image_shape(source: Source, folder: Path) -> tuple[int, int, int]:
    """Of the prepared data set if it is there: a source may have to read raw files, which may be gone."""
    if (folder / MANIFEST_FILE).is_file():
        return Manifest.load(folder).image_shape
    return source.image_shape()
