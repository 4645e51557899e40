"""A sweep of tiny cells on this machine's CPUs with 1, 3 and 4 at once: ``python -m tests.benchmarks.packs``.

Cells per hour by the clock, and the CPU time of a cell: on a machine that does other work, the second is the one to trust.
"""

from __future__ import annotations

import contextlib
import os
import resource
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

import tyro

from launch import recipes
from launch.clusters.resources import Resources
from launch.plan import DataPlaces
from launch.start import run_sweep
from launch.sweep_options import Sweep
from pipeline.config import RunConfig
from pipeline.measures.settings import MeasuresConfig
from tests.data_prep.fixtures import write_raw
from tests.launch.tiny_sweep import tiny
from tests.pipeline.tracking.stores import fresh_store


@dataclass
class Packs:
    """Measure sweeps with several cells at once."""

    cells: int = 12
    """cells of each sweep"""
    at_once: tuple[int, ...] = (1, 3, 4)
    """numbers of cells that share the CPUs"""
    epochs: int = 20
    """epochs of a cell, of 12 steps each"""


def main() -> None:
    """Run a sweep for each number, and print a line for each."""
    asked = tyro.cli(Packs, prog="python -m tests.benchmarks.packs")
    os.environ.pop("OMP_NUM_THREADS", None)

    def many() -> list[RunConfig]:
        first = tiny()[-1]
        training = replace(first.training, ranks=1, epochs=asked.epochs)
        measures = MeasuresConfig(take=("likelihood",))
        return [
            replace(first, training=training, measures=measures, seed=seed) for seed in range(asked.cells)
        ]

    recipes.RECIPES["packs"] = recipes.Recipe("one system, many seeds", many)
    print(f"{asked.cells} cells on {len(os.sched_getaffinity(0))} CPUs, load {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory(prefix="traitvae-packs-") as name:
        folder = Path(name)
        places = DataPlaces(raw=write_raw(folder / "raw"), data_root=folder / "data")
        fresh_store(folder / "runs")
        for count in asked.at_once:
            sweep = Sweep(recipe="packs", name=f"packs-{count}", runs=folder / "runs", places=places)
            _measure(replace(sweep, resources=Resources(cells_per_gpu=count)), asked.cells, count)


def _measure(sweep: Sweep, cells: int, count: int) -> None:
    """Run it with its output discarded."""
    began, before = time.perf_counter(), _cpu_seconds()
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        status = run_sweep(sweep)
    seconds, used = time.perf_counter() - began, _cpu_seconds() - before
    print(
        f"{count} at once: {seconds:.0f} s, {3600 * cells / seconds:.0f} cells per hour; {used / cells:.1f} CPU seconds per"
        f" cell; load {os.getloadavg()[0]:.1f}; status {status}",
        flush=True,
    )


def _cpu_seconds() -> float:
    """Of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
