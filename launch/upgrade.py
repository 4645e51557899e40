"""Converts the cells of an earlier version: ``python launch/sweep.py upgrade SWEEP``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

from data_prep.counted import counted
from data_prep.errors import LaunchError, TrackingError
from data_prep.files import atomic_write
from data_prep.lock import exclusive_lock
from data_prep.manifest import MANIFEST_FILE, Manifest
from data_prep.program_name import program
from launch.at_rest import refuse_jobs
from launch.clusters.slurm.register import REGISTER_FILE
from launch.former import JOURNAL_FILE
from launch.former_cells import (
    FORMER_DONE,
    former_results,
    has_former_form,
    in_present_form,
    withdraw_former_numbers,
)
from launch.launch_record import ASKED_FILE
from launch.monitoring.named import SweepFolder, SweepName, command
from pipeline.cell import Cell
from pipeline.cells.checkpoint_markers import newest_step
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import LOCK_FILE
from pipeline.cells.measurements import results
from pipeline.config import flat, from_json
from pipeline.tracking import sync
from pipeline.tracking.state import UploadState

MERGED_FOLDER = "merged"
"""Folder, in a sweep's, of cells with the same training as another one, which were measured on a different split."""


@dataclass(frozen=True, kw_only=True)
class Upgrade:
    """Convert the cells of a sweep made by an earlier version to the current format and names.

    Nothing is retrained: checkpoints, logs and MLflow runs are kept, and the numbers become results of measures. Cells
    with the same training that were measured on two splits are merged. If interrupted, run it again to resume.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


@dataclass(frozen=True, slots=True)
class Rename:
    """The conversion of a cell."""

    old: str
    new: str
    is_merged: bool = False
    """Whether another cell gets that name, and this one's results."""

    def target(self, sweep: Path) -> Path:
        """The new folder."""
        return sweep / MERGED_FOLDER / self.old if self.is_merged else sweep / self.new


def upgrade(options: Upgrade) -> int:
    """Rename the cells; returns the exit status."""
    sweep = SweepFolder.named(options.sweep, options.runs)
    name, journal = sweep.path.name, sweep.path / JOURNAL_FILE
    with exclusive_lock(sweep.path / "launch.lock", lambda: _refuse(f"a launcher is running on {name}")):
        refuse_jobs(sweep)
        if journal.is_file():
            renames = [Rename(**entry) for entry in _read(journal)]
        else:
            renames = planned_renames(sweep)
        if not renames:
            print(f"the cells of {name} already have the current names")
            return 0
        _write(journal, [asdict(rename) for rename in renames])
        for rename in sorted(
            renames, key=lambda rename: rename.is_merged
        ):  # first those that receive results
            move(sweep.path, rename)
        names = {rename.old: rename.new for rename in renames}
        _rename_in_options(sweep.path / ASKED_FILE, names)
        _rename_in_register(
            sweep.path / REGISTER_FILE, {rename.old: rename.new for rename in renames if not rename.is_merged}
        )
        journal.unlink()
    _upload([rename.target(sweep.path) for rename in renames], sweep.path.parent)
    _report(SweepFolder(sweep.path), renames)
    return 0


def planned_renames(sweep: SweepFolder) -> list[Rename]:
    """The conversions of a sweep's old cells; nothing is written.

    Raises:
        ConfigError: a configuration cannot be read.
        LaunchError: a folder with the new name already exists.
    """
    groups: dict[str, list[CellFolder]] = {}
    for folder in sweep.cells:
        configuration = _read(folder.config_file)
        if has_former_form(configuration):
            groups.setdefault(_present(sweep.path, configuration, folder).name, []).append(folder)
    renames = []
    for name, cells in groups.items():
        if (sweep.path / name).exists():
            raise LaunchError(
                f"{cells[0].name} is to be renamed to {name}, but {sweep.path} already has a folder of that name: move one"
                " of them elsewhere"
            )
        first, *others = sorted(cells, key=_how_far_from_done)
        renames += [Rename(first.name, name), *(Rename(other.name, name, is_merged=True) for other in others)]
    return sorted(renames, key=lambda rename: rename.old)


def move(sweep: Path, rename: Rename) -> None:
    """Convert and rename one cell, from any state that an interrupted upgrade left.

    The new ``config.json`` is written after everything that is computed from the old one; the folder is renamed last.
    """
    folder = CellFolder(sweep / rename.old)
    if not folder.folder.is_dir():
        return
    with exclusive_lock(
        folder.folder / LOCK_FILE, lambda: _refuse(f"a process is running in {folder.folder}")
    ):
        configuration = _read(folder.config_file)
        if has_former_form(configuration):
            cell = Cell(folder.folder, _present(sweep, configuration, folder).config)
            home = sweep / rename.new if rename.is_merged else folder.folder
            for result in former_results(folder.folder / "metrics.jsonl", configuration):
                if not result.key.is_settled(home):
                    result.write(home)
            _update_upload(cell, sweep, rename)
            if not rename.is_merged:  # else it stays what it was
                withdraw_former_numbers(folder.folder / "metrics.jsonl", cell.config.measures.split)
                _present_form(cell)
        rename.target(sweep).parent.mkdir(exist_ok=True)
        folder.folder.rename(rename.target(sweep))


def _present_form(cell: Cell) -> None:
    split = cell.config.measures.split
    if split != "test" and cell.figures.is_dir():  # figures/ itself is now the test split's
        (cell.figures / split).mkdir(exist_ok=True)
        for figure in [path for path in cell.figures.iterdir() if path.is_file()]:
            figure.rename(cell.figures / split / figure.name)
    done = cell.folder / FORMER_DONE
    if done.is_file() or newest_step(cell.checkpoints) == (cell.last_step() or -1):
        failed = cell.failed()
        cell.mark_trained()
        if failed is not None:
            cell.give_up(failed)
    done.unlink(missing_ok=True)
    cell.write()


def _update_upload(cell: Cell, sweep: Path, rename: Rename) -> None:
    """Update the cell's name in its MLflow run, which is kept."""
    state = UploadState.load(cell.folder)
    if state is None:
        return
    if rename.is_merged:  # no longer a run of the sweep: its table would count one training twice
        state.tags["sweep"] = f"{sweep.name} ({MERGED_FOLDER})"
    else:
        state.run_name = rename.new
        state.tags |= {"cell": rename.new, "system": cell.config.model.system}
        state.params = {name: str(value) for name, value in flat(cell.config).items()}
    state.save(cell.folder)


def _present(sweep: Path, configuration: dict[str, Any], folder: CellFolder) -> Cell:
    """The new cell of an old configuration."""
    data = Path(configuration["data"]["folder"])
    seed = Manifest.load(data).seed if (data / MANIFEST_FILE).is_file() else 0
    config = from_json(json.dumps(in_present_form(configuration, seed)), str(folder.config_file))
    if config.label_seed is None:  # all labels are used, or none: any seed gives the same run
        config = replace(config, data=replace(config.data, label_seed=None))
    return Cell.named(sweep, config, data.name.rpartition("-")[2])


def _how_far_from_done(cell: CellFolder) -> tuple[bool, int, bool, str]:
    done = (cell.folder / FORMER_DONE).is_file()
    return (
        not done,
        -(newest_step(cell.checkpoints) or 0),
        _read(cell.config_file)["measures"]["split"] != "test",
        cell.name,
    )


def _refuse(why: str) -> NoReturn:
    raise LaunchError(f"{why}; wait until it has ended, or stop it first")


def _rename_in_options(file: Path, names: Mapping[str, str]) -> None:
    if not file.is_file():
        return
    launches = _read(file)
    for launch in launches:
        launch["cells"] = sorted({names.get(name, name) for name in launch["cells"]})
        only = launch["options"].get("only")
        if only:
            launch["options"]["only"] = list(dict.fromkeys(names.get(text, text) for text in only))
    _write(file, launches)


def _rename_in_register(file: Path, names: Mapping[str, str]) -> None:
    if not file.is_file():
        return
    register = _read(file)
    for submission in register["submissions"]:
        submission["units"] = {names.get(unit, unit): index for unit, index in submission["units"].items()}
    _write(file, register)


def _read(file: Path) -> Any:
    try:
        return json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise LaunchError(
            f"{file} cannot be read: {error}; restore it, and run the same command again"
        ) from None


def _write(file: Path, content: Any) -> None:
    with atomic_write(file) as opened:
        opened.write(json.dumps(content, indent=1).encode() + b"\n")


def _upload(cells: Sequence[Path], runs: Path) -> None:
    """Update the names in MLflow; if it does not answer, say how to do so later."""
    for cell in cells:
        try:
            sync(cell)
        except TrackingError as error:
            print(f"MLflow has the old names until {program('compare')} --sync --runs {runs}: {error}")
            return


def _report(sweep: SweepFolder, renames: Sequence[Rename]) -> None:
    moved = [CellFolder(rename.target(sweep.path)) for rename in renames if not rename.is_merged]
    trained = [cell for cell in moved if cell.is_trained()]
    found = sum(len(results(cell.folder)) for cell in moved)
    print(
        f"{counted(len(moved), 'cell')} of {sweep.path.name} got the current names: {len(trained)} trained, with"
        f" {counted(found, 'earlier result')}; nothing was retrained"
    )
    for rename in renames:
        if rename.is_merged:
            print(
                f"{rename.old} has the same training as {rename.new}, which got its results; its folder is in"
                f" {MERGED_FOLDER}/"
            )
    print(f"to see their status: {command('status', sweep)}")
