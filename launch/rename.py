"""Renames a sweep: ``python launch/sweep.py rename SWEEP NAME``."""

from __future__ import annotations

import errno
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from data_prep.counted import counted
from data_prep.errors import ConfigError, LaunchError
from launch.at_rest import kept_at_rest, refuse_jobs, refuse_processes
from launch.monitoring.named import SweepFolder, SweepName
from launch.remove import ids_of
from launch.store import wait_for_store
from launch.sweep_folder import sweep_folder
from pipeline.cells.folder import CellFolder
from pipeline.tracking import tracking_uri
from pipeline.tracking.runs import READERS
from pipeline.tracking.state import UploadState
from pipeline.tracking.sweep_identity import claim_sweep
from pipeline.tracking.whole_sweep import name_sweep

_OWN_CODE = re.compile(r"^.*(/code/(network_[0-9a-f]{12})/[^/]+)$")


@dataclass(frozen=True, kw_only=True)
class Rename:
    """Rename a sweep: its folder, and its runs in MLflow. Nothing is trained or measured again.

    A sweep of which anything runs or waits is left alone. If interrupted, run it again with the new name in both places.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    name: Annotated[str, tyro.conf.arg(metavar="NAME"), tyro.conf.Positional]
    """new name"""
    runs: Path = Path("runs")
    """folder of the sweeps"""


def rename(options: Rename) -> int:
    """Rename the sweep; returns the exit status.

    Raises:
        LaunchError: something of it runs or waits, the name is taken, or is none for a folder, or a cell's file is damaged.
        TrackingError: the MLflow store cannot be reached.
    """
    sweep = SweepFolder.named(options.sweep, options.runs)
    old, new = sweep.path, sweep_folder(sweep.path.parent, options.name)
    if old.name.startswith(READERS) or new.name.startswith(READERS):
        raise LaunchError(
            f"names that begin with {READERS} are those of label readers, which are found by them"
        )
    if new != old and new.exists():
        raise LaunchError(f"{new} exists already; choose another name")
    refuse_jobs(sweep)
    refuse_processes(sweep)
    uri, ids = tracking_uri(None, old.parent), ids_of(old)
    wait_for_store(uri)
    with kept_at_rest(sweep):
        configurations = {cell.name: _configuration(cell) for cell in sweep.cells}  # all can be read
        _rename(old, new)
        for name, configuration in configurations.items():
            _name_in_files(CellFolder(new / name), configuration, new)
        claim_sweep(new)
        count = name_sweep(uri, ids, new.name)
    print(f"{old.name} is called {new.name} now, in {new} and in {counted(count, 'run')} in MLflow")
    return 0


def _rename(old: Path, new: Path) -> None:
    """Rename the folder of a sweep; LaunchError if another sweep got the name in this moment."""
    try:
        old.rename(new)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        raise LaunchError(f"{new} exists already; choose another name") from None


def _configuration(cell: CellFolder) -> dict[str, Any]:
    """The content of a cell's ``config.json``, of which only the model and the tracking are looked at here."""
    try:
        found = cell.plain_config()
    except ConfigError as error:
        raise LaunchError(f"{error}; restore it, or remove the cell's folder") from None
    if not isinstance(found.get("model"), dict) or not isinstance(found.get("tracking"), dict | None):
        raise LaunchError(
            f"{cell.config_file} is not the configuration of a run; restore it, or remove the cell's folder"
        )
    return found


def _name_in_files(cell: CellFolder, configuration: dict[str, Any], sweep: Path) -> None:
    """The sweep's name in a cell's files, and the place of the copy of a network of the user's."""
    tracking: dict[str, Any] | None = configuration.get("tracking")
    if tracking and tracking.get("sweep") is not None:
        tracking["sweep"] = sweep.name
    network = _OWN_CODE.match(str(configuration["model"].get("network")))
    if network and (sweep / "code" / network[2]).is_dir():
        configuration["model"]["network"] = f"{sweep}{network[1]}"
    cell.write_plain_config(configuration)
    state = UploadState.load(cell.folder)
    if state is not None and state.tags.get("sweep") not in (None, sweep.name):
        state.tags["sweep"] = sweep.name
        state.save(cell.folder)
