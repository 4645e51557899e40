"""Renames a sweep: ``python launch/sweep.py rename SWEEP NAME``."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from data_prep.errors import LaunchError
from data_prep.files import atomic_write
from data_prep.lock import exclusive_lock
from launch.at_rest import refuse_jobs, refuse_processes
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
        LaunchError: something of it runs or waits, or the name is taken, or is none for a folder.
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
    with exclusive_lock(old / "launch.lock", lambda: print("waiting for a launcher")):
        refuse_jobs(sweep)
        refuse_processes(sweep)
        if new != old:
            old.rename(new)
        for cell in SweepFolder(new).cells:
            _name_in_files(cell, new)
        claim_sweep(new)
        count = name_sweep(uri, ids, new.name)
    print(f"{old.name} is called {new.name} now, in {new} and in {count} runs in MLflow")
    return 0


def _name_in_files(cell: CellFolder, sweep: Path) -> None:
    """The sweep's name in a cell's files, and the place of the copy of a network of the user's."""
    configuration = json.loads(cell.config_file.read_bytes())
    tracking: dict[str, Any] | None = configuration.get("tracking")
    if tracking and tracking.get("sweep") is not None:
        tracking["sweep"] = sweep.name
    network = _OWN_CODE.match(str(configuration["model"].get("network")))
    if network and (sweep / "code" / network[2]).is_dir():
        configuration["model"]["network"] = f"{sweep}{network[1]}"
    text = (json.dumps(configuration, indent=2) + "\n").encode()
    if cell.config_file.read_bytes() != text:
        with atomic_write(cell.config_file) as file:
            file.write(text)
    state = UploadState.load(cell.folder)
    if state is not None and state.tags.get("sweep") not in (None, sweep.name):
        state.tags["sweep"] = sweep.name
        state.save(cell.folder)
