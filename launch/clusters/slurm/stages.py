"""Which arrays a sweep needs now, in chains of stages that wait for one another."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from jobs.pack import run_pack
from jobs.run import run_unit
from launch.clusters.resources import RETRIES
from launch.clusters.slurm.arrays import Array, Chain, Dependency, Unit, limit_concurrency, split
from launch.clusters.slurm.data import Preparation
from launch.clusters.slurm.pending_work import PendingWork
from launch.finish import finish_on_node
from pipeline.cell import Cell

Readers: TypeAlias = Mapping[str, tuple[str, ...]]
"""Name of a cell → queued arrays that train the label readers which its measures rest on."""


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
    """Maximum number of cells of all arrays at the same time."""
    cells_per_gpu: int = 1
    """Maximum number of cells of a task."""
    retries: int = RETRIES
    """How often a pack starts a crashed cell again."""

    @property
    def cells_per_task(self) -> int:
        """The same, or fewer where not so many may run at once."""
        return min(self.cells_per_gpu, self.max_parallel or self.cells_per_gpu)


def planned(
    now: PendingWork, preparations: Sequence[Preparation], limits: Limits, sweep: Path, names: Collection[str]
) -> list[Array]:
    """The arrays to submit, each after those that it waits for; empty if there is nothing to do.

    Training waits for the merge of its data (``afterok``), measuring for the training of the same cell (``aftercorr``) and
    for that of its label readers (``afterany``), the comparison for all measuring (``afterany``). With ``max_parallel``,
    training waits for all preparations to end, each preparation for the previous one, and ``limit_concurrency`` divides the
    number among the arrays of cells.

    Args:
        now: the work that is left.
        preparations: of the data sets that are not ready.
        limits: of the arrays.
        sweep: the sweep's folder, absolute.
        names: of the cells in the comparison.
    """
    chains = [
        *_training(now.train, {str(entry.data.folder): entry for entry in preparations}, now.readers, limits),
        *_measuring(now.measure, now.measured_before, now.readers, limits),
        *_measuring_after(now.measure_after, now.readers, limits),
    ]
    if limits.max_parallel is not None and chains:
        _hold(max(1, limits.max_parallel // limits.cells_per_task), now, preparations, chains)
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


def _train(cells: Sequence[Cell], limits: Limits) -> Unit:
    alone = [
        Unit(cell.name, "train", str(cell.config_file), run_unit, ("train", cell.config_file))
        for cell in cells
    ]
    return alone[0] if limits.cells_per_gpu == 1 else _pack(alone, limits)


def _evaluate(cells: Sequence[Cell], limits: Limits) -> Unit:
    alone = []
    for cell in cells:
        measures = cell.measures_config()
        arguments = "evaluate", cell.config_file, measures.take, measures.split
        alone.append(Unit(cell.name, "evaluate", str(cell.config_file), run_unit, arguments, measures))
    return alone[0] if limits.cells_per_gpu == 1 else _pack(alone, limits)


def _pack(alone: Sequence[Unit], limits: Limits) -> Unit:
    """One task for units of the same kind that measure the same."""
    first = alone[0]
    configs = tuple(Path(str(unit.config)) for unit in alone)
    measures = first.measures
    measured = () if measures is None else (measures.take, measures.split)
    arguments = first.unit, configs, limits.cells_per_gpu, limits.retries, *measured
    return Unit(first.name, first.unit, None, run_pack, arguments, measures, tuple(alone))


def packs(cells: Sequence[Cell], most: int) -> list[list[Cell]]:
    """The cells in packs of at most ``most``, as equal in number as possible; those that take as long go together."""
    alike = sorted(cells, key=lambda cell: (cell.config.model.system, cell.config.training.epochs))
    count = -(-len(alike) // most)
    bounds = [number * len(alike) // count for number in range(count + 1)]
    return [alike[start:end] for start, end in pairwise(bounds)] if most > 1 else [[cell] for cell in cells]


def _measures(cell: Cell, readers: Readers) -> tuple[str, tuple[str, ...], tuple[str, ...]]:
    """What is measured, the same for all cells of an array, and the arrays of the readers that it waits for."""
    measures = cell.measures_config()
    return measures.split, measures.take, readers.get(cell.name, ())


def _after_readers(arrays: Sequence[str]) -> list[Dependency]:
    """``afterany``: what does not rest on them is measured also if they fail."""
    return [Dependency("afterany", array) for array in arrays]


def _training(
    cells: Sequence[Cell], preparations: Mapping[str, Preparation], readers: Readers, limits: Limits
) -> list[Chain]:
    def alike(cell: Cell) -> tuple[int, bool, str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
        """What the cells of an array have in common: the shape of their jobs, the data they wait for, the measures."""
        folder = cell.config.data.folder
        needed = folder if folder in preparations else ""
        return cell.config.training.ranks, _on_gpus(cell), needed, _measures(cell, readers)

    chains = []
    for (ranks, on_gpus, folder, (_, _, waits_for)), group in _grouped(cells, alike):
        dependencies = [Dependency("afterok", preparations[folder].ready_after)] if folder else []
        for some in split(packs(group, limits.cells_per_task), limits.max_array):
            train = Array(
                stage="train",
                units={index: _train(pack, limits) for index, pack in some.items()},
                parameters=limits.parameters(ranks, on_gpus=on_gpus),
                dependencies=list(dependencies),
            )
            measure = Array(
                stage="evaluate",
                units={index: _evaluate(pack, limits) for index, pack in some.items()},
                parameters=limits.parameters(1, on_gpus=on_gpus),
                dependencies=[Dependency("aftercorr", train), *_after_readers(waits_for)],
            )
            chains.append([train, measure])
    return chains


def _measuring(
    cells: Sequence[Cell], measured_before: Mapping[str, str], readers: Readers, limits: Limits
) -> list[Chain]:
    def alike(cell: Cell) -> tuple[bool, str, tuple[str, tuple[str, ...], tuple[str, ...]]]:
        return _on_gpus(cell), measured_before.get(cell.name, ""), _measures(cell, readers)

    return [
        [
            Array(
                stage="evaluate",
                units={index: _evaluate(pack, limits) for index, pack in some.items()},
                parameters=limits.parameters(1, on_gpus=on_gpus),
                dependencies=[
                    *([Dependency("afterany", before)] if before else []),
                    *_after_readers(waits_for),
                ],
            )
        ]
        for (on_gpus, before, (_, _, waits_for)), group in _grouped(cells, alike)
        for some in split(packs(group, limits.cells_per_task), limits.max_array)
    ]


def _measuring_after(
    trained_by: Mapping[str, Mapping[int, list[Cell]]], readers: Readers, limits: Limits
) -> list[Chain]:
    """Arrays with the indices of the training tasks, so that ``aftercorr`` matches each to its own."""
    chains = []
    for array, cells in trained_by.items():
        index_of = {cell.name: index for index, of_task in cells.items() for cell in of_task}
        in_training = [cell for of_task in cells.values() for cell in of_task]
        for (_, _, waits_for), group in _grouped(in_training, lambda cell: _measures(cell, readers)):
            tasks: dict[int, list[Cell]] = {}
            for cell in group:
                tasks.setdefault(index_of[cell.name], []).append(cell)
            units = {index: _task_after_training(task, limits) for index, task in tasks.items()}
            measure = Array(
                stage="evaluate",
                units=dict(sorted(units.items())),
                parameters=limits.parameters(1, on_gpus=any(map(_on_gpus, group))),
                dependencies=[Dependency("aftercorr", array), *_after_readers(waits_for)],
            )
            chains.append([measure])
    return chains


def _task_after_training(cells: Sequence[Cell], limits: Limits) -> Unit:
    """What measures the cells of one training task, which may be a pack although cells no longer share a GPU now."""
    return _evaluate(cells, replace(limits, cells_per_gpu=max(limits.cells_per_gpu, len(cells))))


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
