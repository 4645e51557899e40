"""What a sweep would do, and cost, as text: nothing is written and nothing is submitted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.counted import counted
from launch.clusters.backend import Backend
from launch.clusters.folder_state import to_compute
from launch.clusters.in_process import InProcessBackend
from launch.clusters.local import LocalBackend
from launch.clusters.packing import cells_per_gpu
from launch.clusters.slurm.backend import SlurmBackend
from launch.estimate import Allocation, by_recorded_speed, training_images, upper_bound
from launch.plan import NeededData
from launch.set_fields import shown_fields
from pipeline.cell import Cell
from pipeline.config import flat, readable_name
from pipeline.measures.plan import is_done


def describe(
    cells: Sequence[Cell],
    data: Sequence[NeededData],
    backend: Backend,
    runs: Path,
    readers: Sequence[Cell] = (),
    fields: Iterable[str] = (),
) -> str:
    """Data sets, label readers, cells, what would be submitted, and an estimate, in this order.

    ``fields``: the dotted names of those that are shown of each cell, next to those in which cells of one name differ.
    """
    names = tuple(dict.fromkeys([*fields, *_telling_apart(cells)]))
    lines = [
        f"data   {entry.folder} ({'prepared' if entry.is_ready() else 'to be prepared first'})"
        for entry in data
    ]
    states = {cell.name: _state(cell) for cell in [*readers, *cells]}
    for kind, cell in [*(("reader", reader) for reader in readers), *(("cell  ", cell) for cell in cells)]:
        settings = cell.config.training
        shown = shown_fields(cell.config, names) if kind != "reader" else ""
        lines.append(
            f"{kind} {cell.name}  {counted(settings.epochs, 'epoch')}, {counted(settings.ranks, 'rank')}"
            f"  {states[cell.name]}{'  ' if shown else ''}{shown}"
        )
    still_open = [cell for cell in cells if states[cell.name] != "done"]
    lines.append(f"{counted(len(cells), 'cell')}, {len(still_open)} to run; nothing was written")
    if not still_open:
        return "\n".join(lines)
    lines.append(backend.describe(cells, data, readers))
    still_open = [*readers, *still_open]

    def allocation(ranks: int, on_gpus: bool) -> Allocation:
        if isinstance(backend, SlurmBackend):
            resources, _ = backend.jobs.of(ranks, on_gpus=on_gpus)
            return Allocation.by(resources, ranks, cells_per_gpu(resources))
        assert isinstance(backend, LocalBackend | InProcessBackend)
        takes_gpus = backend.capacity.takes_gpus(ranks, on_gpus=on_gpus)
        sharing = cells_per_gpu(backend.capacity.resources) if takes_gpus else 1
        return Allocation(ranks, "GPU" if takes_gpus else "CPU", 0.0, sharing)

    needed = {str(entry.folder): entry for entry in data}

    @cache
    def images_of(folder: str, with_references: bool) -> int | None:
        return training_images(needed[folder], with_references=with_references)

    def images(cell: Cell) -> int | None:
        return images_of(cell.config.data.folder, cell.config.draws_references)

    if isinstance(backend, SlurmBackend):
        if _may_get_gpus(backend, still_open):
            lines.append(
                "no estimate of its cost: it is not known whether the ranks would get GPUs (--gpus-per-node)"
            )
            return "\n".join(lines)
        lines += upper_bound(still_open, allocation)
    to_train = [cell for cell in still_open if states[cell.name] == "to be trained"]
    return "\n".join([*lines, *by_recorded_speed(to_train, images, runs, allocation)])


def _may_get_gpus(backend: SlurmBackend, cells: Sequence[Cell]) -> bool:
    """Whether the number of GPUs depends on a cluster that does not answer."""
    if backend.facts.not_known is None or all(cell.config.training.device == "cpu" for cell in cells):
        return False
    return not backend.jobs.gpus_are_given()


def _telling_apart(cells: Iterable[Cell]) -> Iterator[str]:
    """The fields in which cells differ that have the same name but for their hash."""
    alike: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for cell in cells:
        alike[readable_name(cell.config)].append(flat(cell.config))
    for first, *others in alike.values():
        yield from (name for name in first if any(other.get(name) != first[name] for other in others))


def _state(cell: Cell) -> str:
    if is_done(cell):
        return "done"
    return to_compute(cell) if cell.is_trained() else "to be trained"
