"""Detecting sweeps of an earlier version of the code, without importing torch."""

from __future__ import annotations

from data_prep.errors import LaunchError
from launch.former_cells import is_former
from launch.monitoring.named import SweepFolder, command

JOURNAL_FILE = "upgrade.json"
"""File, in a sweep's folder, of the renames in progress."""


def holds_former_cells(sweep: SweepFolder) -> bool:
    """Whether a cell has the format of an earlier version, or an upgrade was interrupted."""
    return (sweep.path / JOURNAL_FILE).is_file() or any(map(is_former, sweep.cells))


def refuse_former_cells(sweep: SweepFolder) -> None:
    """LaunchError with the command to run if a sweep is of an earlier version."""
    if holds_former_cells(sweep):
        raise LaunchError(
            f"{sweep.path.name} was made by an earlier version; to convert its cells, without retraining, run:"
            f" {command('upgrade', sweep)}"
        )
