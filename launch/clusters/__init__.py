"""Where the units of a sweep run: this process, this machine or a SLURM cluster; one interface, chosen here."""

from __future__ import annotations

from pathlib import Path

from launch.clusters.backend import Backend, ClusterName
from launch.clusters.resources import Resources


def make_backend(
    cluster: ClusterName,
    sweep: Path,
    resources: Resources,
    config_file: Path | None = None,
    *,
    dry_run: bool = False,
) -> Backend:
    """The backend of that name for a sweep's folder; LaunchError if it cannot work here.

    With ``dry_run`` it only describes, and needs no cluster that answers.
    """
    # Imported here, because looking at a sweep needs neither submitit nor torch.
    if cluster == "slurm":
        from launch.clusters.slurm.backend import SlurmBackend
        from launch.clusters.slurm.facts import facts_for_a_dry_run

        facts = facts_for_a_dry_run() if dry_run else None
        return SlurmBackend(sweep, resources, config_file=config_file, facts=facts)
    if cluster == "debug":
        from launch.clusters.in_process import InProcessBackend

        return InProcessBackend(resources)
    from launch.clusters.local import LocalBackend

    return LocalBackend(sweep, resources)
