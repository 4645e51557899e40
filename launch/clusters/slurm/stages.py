"""The arrays that a sweep needs: what is done needs no job, and what is already queued is not submitted again."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Protocol

from jobs.run import run_unit
from launch.clusters.slurm.arrays import Array, Chain, Dependency, Unit, limit_concurrency, split
from launch.clusters.slurm.data import Preparation
from launch.clusters.slurm.queue import QueuedJob
from launch.clusters.slurm.register import Register
from launch.finish import finish_on_node
from pipeline.cell import Cell
from pipeline.measures.plan import is_done


class ParametersFor(Protocol):
    """submitit's parameters of a job of ``ranks`` ranks, with a GPU each if ``on_gpus`` and the site has them."""

    def __call__(self, ranks: int, *, on_gpus: bool) -> dict[str, Any]: ...


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Limits of an array."""

    parameters: ParametersFor
    small_job: dict[str, Any]
    """submitit's parameters of a job that writes a shard, a manifest or a table."""
    max_array: int
    """Maximum number of tasks of an array."""
    max_parallel: int | None
    """Maximum number of tasks of all arrays at the same time."""


@dataclass(slots=True)
class PendingWork:
    """What is left to submit for the cells that are not done, given the queue."""

    train: list[Cell] = field(default_factory=list)
    """Neither trained nor in the queue."""
    measure: list[Cell] = field(default_factory=list)
    """Trained, and not in the queue."""
    measure_after: dict[str, dict[int, Cell]] = field(default_factory=dict)
    """Training array → index → cell: in training, without a queued job that measures it afterwards."""
    measured_by: set[str] = field(default_factory=set)
    """Arrays in the queue that measure cells, these or others of the sweep."""
    hopeless: list[str] = field(default_factory=list)
    """Queued jobs that would measure cells whose training failed."""
    running: dict[str, int] = field(default_factory=dict)
    """Queued array → how many of its tasks may run at once."""


def pending_work(cells: Sequence[Cell], register: Register, queue: Mapping[str, QueuedJob]) -> PendingWork:
    """Sort the unfinished cells by the state of their jobs; nothing is written."""
    found = PendingWork()
    for cell in cells:
        if is_done(cell):
            continue
        jobs = register.jobs_of(cell.name)
        train, evaluate = jobs.get("train", ""), jobs.get("evaluate", "")
        is_measured = evaluate in queue
        if is_measured and train not in queue and not queue[evaluate].is_running and not cell.is_trained():
            found.hopeless.append(evaluate)
            is_measured = False
        if is_measured:
            continue
        if train in queue:
            array, _, index = train.partition("_")
            found.measure_after.setdefault(array, {})[int(index)] = cell
        elif cell.is_trained():
            found.measure.append(cell)
        else:
            found.train.append(cell)
    alive = [job.partition("_")[0] for job in queue]
    for submission in register.in_stages(("train", "evaluate")):
        tasks = alive.count(submission.job or "")
        if tasks:
            found.running[str(submission.job)] = min(tasks, submission.at_once or tasks)
            if (
                submission.stage == "evaluate"
            ):  # including cells of other launches: the table covers the whole sweep
                found.measured_by.add(str(submission.job))
    return found


def planned(
    now: PendingWork, preparations: Sequence[Preparation], limits: Limits, sweep: Path, names: Collection[str]
) -> list[Array]:
    """The arrays to submit, each after those that it waits for; empty if there is nothing to do.

    Training waits for the merge of its data (``afterok``), measuring for the training of the same cell (``aftercorr``),
    the comparison for all measuring (``afterany``). With ``max_parallel``, training waits for all preparations to end,
    each preparation for the previous one, and ``limit_concurrency`` divides the number among the arrays of cells.

    Args:
        now: the work that is left.
        preparations: of the data sets that are not ready.
        limits: of the arrays.
        sweep: the sweep's folder, absolute.
        names: of the cells in the comparison.
    """
    chains = [
        *_training(now.train, {str(entry.data.folder): entry for entry in preparations}, limits),
        *_measuring(now.measure, limits),
        *_measuring_after(now.measure_after, limits),
    ]
    if limits.max_parallel is not None and chains:
        _hold(limits.max_parallel, now, preparations, chains)
    arrays = [array for entry in preparations for array in entry.arrays]
    arrays += [array for chain in chains for array in chain]
    measuring: list[Array | str] = [array for array in arrays if array.stage == "evaluate"]
    measuring += sorted(now.measured_by)
    if not measuring:
        return arrays
    compare = Unit(sweep.name, "compare", None, finish_on_node, (str(sweep), sorted(names)))
    dependencies = [Dependency("afterany", what) for what in measuring]
    return [
        *arrays,
        Array(stage="compare", units={0: compare}, parameters=limits.small_job, dependencies=dependencies),
    ]


def _unit(kind: str, cell: Cell) -> Unit:
    return Unit(cell.name, kind, str(cell.config_file), run_unit, (kind, cell.config_file))


def _training(cells: Sequence[Cell], preparations: Mapping[str, Preparation], limits: Limits) -> list[Chain]:
    def alike(cell: Cell) -> tuple[int, bool, str]:
        """What the cells of an array share: the shape of their jobs, and the data they wait for."""
        folder = cell.config.data.folder
        return cell.config.training.ranks, _on_gpus(cell), folder if folder in preparations else ""

    chains = []
    for (ranks, on_gpus, folder), group in _grouped(cells, alike):
        dependencies = [Dependency("afterok", preparations[folder].ready_after)] if folder else []
        for units in split([_unit("train", cell) for cell in group], limits.max_array):
            train = Array(
                stage="train",
                units=units,
                parameters=limits.parameters(ranks, on_gpus=on_gpus),
                dependencies=list(dependencies),
            )
            same = {
                index: Unit(unit.name, "evaluate", unit.config, run_unit, ("evaluate", *unit.arguments[1:]))
                for index, unit in units.items()
            }
            measure = Array(
                stage="evaluate",
                units=same,
                parameters=limits.parameters(1, on_gpus=on_gpus),
                dependencies=[Dependency("aftercorr", train)],
            )
            chains.append([train, measure])
    return chains


def _measuring(cells: Sequence[Cell], limits: Limits) -> list[Chain]:
    return [
        [Array(stage="evaluate", units=units, parameters=limits.parameters(1, on_gpus=on_gpus))]
        for on_gpus, group in _grouped(cells, _on_gpus)
        for units in split([_unit("evaluate", cell) for cell in group], limits.max_array)
    ]


def _measuring_after(trained_by: Mapping[str, Mapping[int, Cell]], limits: Limits) -> list[Chain]:
    """Arrays with the same indices as the training tasks, as ``aftercorr`` requires."""
    return [
        [
            Array(
                stage="evaluate",
                units={index: _unit("evaluate", cell) for index, cell in sorted(cells.items())},
                parameters=limits.parameters(1, on_gpus=any(_on_gpus(cell) for cell in cells.values())),
                dependencies=[Dependency("aftercorr", array)],
            )
        ]
        for array, cells in trained_by.items()
    ]


def _hold(most: int, now: PendingWork, preparations: Sequence[Preparation], chains: Sequence[Chain]) -> None:
    """Limit all arrays together to ``most`` tasks at once; what is already queued keeps its share."""
    left = most - sum(now.running.values())
    limit_concurrency(left if left >= 1 else most, chains)
    merges = [entry.ready_after for entry in preparations]
    before = [] if left >= 1 else sorted(now.running)
    for chain in chains:
        chain[0].dependencies += [Dependency("afterany", what) for what in [*merges, *before]]
    for first, second in pairwise(preparations):
        for array in second.arrays:
            array.dependencies.append(Dependency("afterany", first.ready_after))


def _on_gpus(cell: Cell) -> bool:
    return cell.config.training.device != "cpu"


def _grouped(cells: Sequence[Cell], key: Callable[[Cell], Any]) -> list[tuple[Any, list[Cell]]]:
    return [(value, list(group)) for value, group in groupby(sorted(cells, key=key), key=key)]
