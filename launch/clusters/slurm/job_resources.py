"""What each kind of job of a sweep requests: training, measuring, and small jobs for shards and tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from launch.clusters.gpus import Gpus
from launch.clusters.packing import cells_per_gpu
from launch.clusters.resources import Resources
from launch.clusters.slurm.facts import ClusterFacts
from launch.clusters.slurm.job_parameters import job_parameters
from launch.clusters.slurm.preflight import FOR_SMALL_JOBS, Shape
from launch.clusters.slurm.site import as_given, resolve, resolve_small
from launch.clusters.slurm.stages import Limits
from launch.clusters.slurm.submit_limits import SubmitLimit, tightest_limit
from pipeline.cell import Cell


@dataclass(slots=True)
class JobResources:
    """The user's resources, completed by the site's files and by what the cluster has."""

    requested: Resources
    """On the command line."""
    config_file: Path | None
    facts: ClusterFacts
    _resolved: dict[tuple[int, bool], tuple[Resources, list[str]]] = field(default_factory=dict)

    def as_given(self) -> Resources:
        """What was given on the command line and in the site's files, not completed by what the cluster has."""
        return as_given(self.requested, self.config_file)[0]

    def gpus_are_given(self) -> bool:
        """Whether the user or a file requests GPUs, or none."""
        return self.as_given().gpus != Gpus()

    def set_cells_per_gpu(self, number: int | Literal["auto"] | None) -> None:
        """Replace ``auto``."""
        self.requested = replace(self.requested, cells_per_gpu=number)
        self._resolved.clear()

    def of(self, ranks: int, *, on_gpus: bool) -> tuple[Resources, list[str]]:
        """Those of a job of ``ranks`` ranks, and sentences about where they come from."""
        key = ranks, on_gpus
        if key not in self._resolved:
            self._resolved[key] = resolve(
                self.requested, self.config_file, self.facts, ranks, on_gpus=on_gpus
            )
        return self._resolved[key]

    def of_small_job(self) -> Resources:
        """Those of a job that writes a shard, a manifest or a table."""
        return resolve_small(self.requested, self.config_file, self.facts)[0]

    def of_the_largest(self, cells: Sequence[Cell]) -> tuple[Resources, list[str]]:
        """Those of the job with the most ranks, and sentences about where they come from."""
        ranks = max(cell.config.training.ranks for cell in cells)
        return self.of(ranks, on_gpus=want_gpus(cells))

    def shapes(self, cells: Sequence[Cell]) -> list[Shape]:
        """The kinds of jobs that these cells need."""
        training = [cell for cell in cells if not cell.is_trained()]
        shapes = []
        if training:
            ranks = max(cell.config.training.ranks for cell in training)
            resources, _ = self.of_the_largest(training)
            shapes.append(Shape(what="training", resources=resources, ranks=ranks, jobs=len(training)))
        measuring, _ = self.of(1, on_gpus=want_gpus(cells))
        return [
            *shapes,
            Shape(what="measuring", resources=measuring, ranks=1, jobs=len(cells)),
            self.shape_of_small_jobs(1, FOR_SMALL_JOBS),
        ]

    def shape_of_small_jobs(self, jobs: int, remedy: str) -> Shape:
        """So many jobs that write shards, manifests or tables; ``remedy``: what to do if sbatch refuses them."""
        resources = self.of_small_job()
        what = "shards and tables" if resources.gpus.count else "shards and tables, without GPUs"
        return Shape(what=what, resources=resources, ranks=1, jobs=jobs, remedy=remedy)

    def limits(self) -> Limits:
        """What arrays are planned with."""

        def parameters(ranks: int, *, on_gpus: bool) -> dict[str, Any]:
            return job_parameters(self.of(ranks, on_gpus=on_gpus)[0], ranks)

        small_job = self.of_small_job()
        return Limits(
            parameters=parameters,
            small_job=job_parameters(small_job, 1),
            max_array=max(1, self.facts.max_array_size),
            max_parallel=small_job.max_parallel,
            cells_per_gpu=cells_per_gpu(self.as_given()),
            retries=self.retries(),
        )

    def retries(self) -> int:
        """How often a unit that crashes is repeated."""
        retries = self.of_small_job().retries
        return 0 if retries is None else retries

    def submit_limit(self) -> SubmitLimit | None:
        """The limit that leaves the least room for this sweep's jobs; None if none is known."""
        resources = [self.of_small_job(), *(chosen for chosen, _ in self._resolved.values())]
        charged = {(entry.account, entry.qos) for entry in resources}
        known = [tightest_limit(self.facts, account, qos) for account, qos in charged]
        return min((limit for limit in known if limit is not None), key=lambda one: one.room, default=None)


def want_gpus(cells: Sequence[Cell]) -> bool:
    """Whether any of the cells takes a GPU if there is one."""
    return any(cell.config.training.device != "cpu" for cell in cells)
