"""Sweeps of an earlier version of the code: what a command that meets one says; torch is not needed for that."""

from __future__ import annotations

from data_prep.errors import LaunchError
from launch.monitoring.named import SweepFolder, command
from pipeline.cells.former import is_former

JOURNAL_FILE = "upgrade.json"
"""In a sweep's folder: which cell gets which name, while they get them."""


def holds_former_cells(sweep: SweepFolder) -> bool:
    """Whether a cell has the form of an earlier version, or an upgrade was stopped in the middle."""
    return (sweep.path / JOURNAL_FILE).is_file() or any(map(is_former, sweep.cells))


def refuse_former_cells(sweep: SweepFolder) -> None:
    """LaunchError with what to type where a sweep is of an earlier version."""
    if holds_former_cells(sweep):
        raise LaunchError(
            f"{sweep.path.name} was made by an earlier version; this brings its cells to the names of now, and trains"
            f" nothing again: {command('upgrade', sweep)}"
        )
