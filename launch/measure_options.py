"""The options of ``launch/measure.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from launch.clusters.backend import ClusterName
from launch.clusters.resources import Resources
from launch.command_line import described
from launch.monitoring.named import SweepName


@dataclass(frozen=True, kw_only=True)
class Measure:
    """Measure the trained cells of a sweep, without training.

    Existing results are not repeated, a failing measure does not affect the others, and cells that are not trained
    are skipped. The default measures are the sweep's own. Results are in each cell's folder
    measures/, in its MLflow run, and in the table at the end (python launch/compare.py).

    Examples:
      python launch/measure.py fashion-mnist --dry-run                   what exists, and what is missing
      python launch/measure.py fashion-mnist --split valid               the sweep's measures on another split
      python launch/measure.py fashion-mnist --cluster slurm --hours 1   as one array of jobs
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    measures: Annotated[tuple[str, ...], described("NAME[:FIELD=VALUE,...]")] = ()
    """measures to compute, from the list above, with settings that are not the defaults (default: the sweep's)"""
    split: Annotated[str | None, described("SPLIT")] = None
    """split to measure (default: the sweep's)"""
    cells: Annotated[tuple[str, ...], described("TEXT")] = ()
    """only the cells whose name contains one of these texts, such as ccvae- or f0.06"""
    cluster: ClusterName = "local"
    """where to run: on this machine, on its SLURM cluster, or in this process (debug)"""
    dry_run: bool = False
    """print what exists and what would be measured and submitted, and do nothing"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    preflight: Annotated[bool, described()] = True
    """submit without checking first whether jobs can work (slurm)"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    cluster_config: Annotated[Path | None, described("FILE")] = None
    """TOML file of a site's defaults, overrides ~/.config/traitvae/cluster.toml (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)
