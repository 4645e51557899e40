"""Where the units of a sweep run: this process, this machine or a SLURM cluster; one interface, chosen here."""

from __future__ import annotations

from pathlib import Path

from launch.clusters.backend import Backend, ClusterName
from launch.clusters.local import LocalBackend
from launch.clusters.resources import Resources
from launch.clusters.slurm import SlurmBackend


def make_backend(cluster: ClusterName, sweep: Path, resources: Resources) -> Backend:
    """The backend of that name for a sweep's folder; LaunchError where it cannot work here."""
    if cluster == "slurm":
        return SlurmBackend(sweep, resources)
    return LocalBackend(sweep, resources, in_this_process=cluster == "debug")
