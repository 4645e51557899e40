"""The options of ``launch/sweep.py``."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import tyro

from launch.clusters.backend import ClusterName
from launch.clusters.resources import Resources
from launch.command_line import described
from launch.plan import DataPlaces
from pipeline.networks.choice import NetworkName


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """Train, measure and compare every run of a recipe.

    Raw files become shards (once), each run becomes a cell that is trained and then measured, MLflow stores the numbers,
    and the table with the papers' values is printed at the end. The same command can be rerun at any time: what is done is
    not repeated, what was stopped is resumed, and what failed is retried. Ctrl-C stops local runs after a
    checkpoint, and leaves SLURM jobs running.

    Examples:
      python launch/sweep.py --recipe fashion-mnist-quick --dry-run     what would run, and nothing else
      python launch/sweep.py --recipe fashion-mnist --cluster slurm     as jobs of this machine's cluster
      python launch/sweep.py --recipe fashion-mnist-quick --set optimiser.learning_rate=1e-3,5e-4 --name grid

    For a sweep that was started:
      python launch/sweep.py status|cancel|logs|retry SWEEP --help      to monitor it, stop it, repeat what failed
      python launch/sweep.py extend|rename|remove SWEEP --help          to change it
      python launch/sweep.py upgrade SWEEP --help                       to convert one of an earlier version
      python launch/measure.py SWEEP --help                             to measure more of its trained cells
    """

    recipe: Annotated[str | None, described("NAME|FILE.py:NAME")] = None
    """which runs: a name from the list above, or a function in a file (default: the quick recipe)"""
    cluster: ClusterName = "local"
    """where to run: on this machine, on its SLURM cluster, or in this process (debug)"""
    name: Annotated[str | None, described("NAME")] = None
    """name of the sweep, and of its folder (default: the recipe's name)"""
    dry_run: bool = False
    """print the cells and what would be submitted, and do nothing"""
    detach: bool = False
    """exit as soon as the jobs are submitted (slurm)"""
    preflight: Annotated[bool, described()] = True
    """submit without checking first whether jobs can work (slurm)"""
    experiment: Annotated[str | None, described("NAME")] = None
    """MLflow experiment for the sweep's runs (default: that of its last launch, else traitvae)"""
    restart: bool = False
    """start new cells even if the sweep has begun the same ones with another number of ranks"""
    options: Annotated[tuple[str, ...], described("NAME=VALUE ...")] = ()
    """options of the data set (the dry run of `prepare` lists them); a recipe's own stay unless named here"""
    epochs: Annotated[int | None, described("N")] = None
    """number of epochs (default: the recipe's)"""
    ranks: Annotated[int | None, described("N")] = None
    """number of processes per run (default: the recipe's)"""
    precision: Annotated[
        Literal["auto", "float32", "bfloat16", "float16"] | None, described("{auto,float32,bfloat16,float16}")
    ] = None
    """autocast type (default: the recipe's)"""
    network: Annotated[NetworkName | None, described("NAME|FILE.py:CLASS")] = None
    """networks of every run, such as `nets/mine.py:MyNetwork` (default: the recipe's); docs/networks.md"""
    seeds: Annotated[int | None, described("N")] = None
    """number of seeds of each run, from 0 (default: the recipe's)"""
    measures: Annotated[tuple[str, ...], described("NAME[:FIELD=VALUE,...]")] = ()
    """measures to compute, of those in the help of `measure` (default: the recipe's)"""
    split: Annotated[str | None, described("SPLIT")] = None
    """split to measure (default: the recipe's)"""
    label_seed: Annotated[int | None, described("SEED")] = None
    """seed of the labelled subset, the same for all runs (default: each run's seed)"""
    set: Annotated[tuple[str, ...], described("FIELD=VALUE[,VALUE...]")] = ()
    """any field of the runs (docs/own_sweeps.md), such as model.style_size=20,40; several values make a grid"""
    only: Annotated[tuple[str, ...], described("TEXT")] = ()
    """only the cells whose name, or a field given with --set, contains one of these texts, such as ccvae- or f0.06"""
    search: Annotated[tuple[str, ...], described("FIELD=LOW..HIGH[:log]")] = ()
    """search these fields of one run (or FIELD=A,B,C) with Optuna; each trial is a cell (docs/own_sweeps.md)"""
    objective: Annotated[str | None, described("MEASURE/METRIC")] = None
    """what a search optimises, on --split, which is valid by default and never test"""
    trials: Annotated[int, tyro.conf.arg(metavar="N")] = 20
    """number of trials of a search; a larger number continues it"""
    at_once: Annotated[int, tyro.conf.arg(metavar="N")] = 4
    """trials of a round of a search: those of the next one are suggested by their results"""
    prune_after: Annotated[tuple[int, ...], described("EPOCHS")] = ()
    """numbers of epochs after which a trial that is worse than the median of the completed ones ends"""
    runs: Path = Path("runs")
    """folder for the sweeps, and for the MLflow store unless MLFLOW_TRACKING_URI is set"""
    places: tyro.conf.OmitArgPrefixes[DataPlaces] = field(default_factory=DataPlaces)
    cluster_config: Annotated[Path | None, described("FILE")] = None
    """TOML file of a site's defaults, overrides ~/.config/traitvae/cluster.toml (slurm)"""
    resources: tyro.conf.OmitArgPrefixes[Resources] = field(default_factory=Resources)
