"""The folder of a sweep, from its name."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import LaunchError
from launch.clusters.backend import folder_for_jobs


def sweep_folder(runs: Path, name: str) -> Path:
    """The folder of the sweep, absolute.

    Raises:
        LaunchError: the name is none for a folder, or one that MLflow or SLURM cannot take.
    """
    if not name.strip() or name[0] in ".-" or "/" in name or len(name.encode()) > 150:
        raise LaunchError(
            f"the sweep name {name!r} is not valid as a folder name: no '/', no leading '.' or '-', at most 150 bytes"
        )
    if "'" in name and '"' in name:
        raise LaunchError(
            f"the sweep name {name!r} contains both kinds of quotes, so MLflow could not search for it"
        )
    return folder_for_jobs(runs / name)
