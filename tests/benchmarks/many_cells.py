"""A sweep of 1,000 cells on a real SLURM of 100 nodes whose jobs end at once: what launching itself costs.

``python -m tests.benchmarks.many_cells``. In place of Python each job runs ``true``: what is measured is the launcher,
sbatch, squeue and SLURM's own work, not the training.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from launch import recipes
from launch.clusters.resources import Resources
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from launch.plan import DataPlaces
from launch.start import run_sweep
from launch.sweep_options import Sweep
from pipeline.config import RunConfig
from tests.cluster import cluster as clusters
from tests.data_prep.fixtures import write_raw
from tests.launch.tiny_sweep import tiny


@dataclass
class ManyCells:
    """Measure launching many cells."""

    cells: int = 1000
    """cells of the sweep"""
    nodes: int = 100
    """nodes of the cluster"""
    at_once: int = 30
    """jobs at the same time: all nodes are one machine, and a job that starts too slowly there never starts"""


def main() -> None:
    """Start the cluster, launch, query the status, wait until the queue is empty; print a line for each."""
    asked = tyro.cli(ManyCells, prog="python -m tests.benchmarks.many_cells")
    with tempfile.TemporaryDirectory(prefix="traitvae-many-") as name:
        folder = Path(name)
        write_raw(folder / "raw")
        cluster = clusters.up(folder / "cluster", nodes=asked.nodes, accounting=False)
        try:
            os.environ["SLURM_CONF"] = str(cluster.conf)
            _measure(folder, asked)
        finally:
            clusters.down(folder / "cluster")


def _measure(folder: Path, asked: ManyCells) -> None:
    def many() -> list[RunConfig]:
        first = tiny()[-1]
        alone = replace(first, training=replace(first.training, ranks=1))
        return [replace(alone, seed=seed) for seed in range(asked.cells)]

    recipes.RECIPES["many"] = recipes.Recipe("one system, many seeds", many)
    places = DataPlaces(raw=folder / "raw", data_root=folder / "data")
    sweep = Sweep(
        recipe="many",
        cluster="slurm",
        runs=folder / "runs",
        places=places,
        resources=Resources(max_parallel=asked.at_once),
        preflight=False,
        detach=True,
    )
    _timed("dry run", lambda: run_sweep(replace(sweep, dry_run=True, detach=False)))
    python, sys.executable = sys.executable, "/bin/true"
    try:
        began = _timed("submitting all stages", lambda: run_sweep(sweep))
    finally:
        sys.executable = python
    _timed("status of all cells", lambda: read_status(SweepFolder.named("many", folder / "runs")))
    while subprocess.run(["squeue", "--noheader"], capture_output=True, text=True, check=True).stdout.strip():
        time.sleep(0.5)
    print(f"the queue was empty {time.perf_counter() - began:.1f} s after submitting began")
    print(f"most memory of the launcher: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


def _timed(what: str, work: Callable[[], object]) -> float:
    """Run it with its output discarded; print how long it took, and return when it began."""
    began = time.perf_counter()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        work()
    print(f"{what}: {time.perf_counter() - began:.2f} s", flush=True)
    return began


if __name__ == "__main__":
    main()
