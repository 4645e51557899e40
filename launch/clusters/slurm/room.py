"""The part of a plan for which the queue has room, when the cluster limits how many jobs a user may have in it."""

from __future__ import annotations

from collections.abc import Sequence

from launch.clusters.slurm.arrays import Array, Dependency


def fitting(arrays: Sequence[Array], room: int) -> list[Array]:
    """The arrays that fit into ``room`` tasks, in order; the last ones are shortened in place.

    Training and the measuring after it are taken in pairs, so that what is queued ends measured without a launcher; with
    room for a single task, one cell is trained. One task is kept for the table if at least three fit. An array that waits
    for all of another one waits with it, if that does not fit entirely.
    """
    tables = [array for array in arrays if array.stage == "compare"]
    kept = 1 if tables and room >= 3 else 0
    left, whole, found = room - kept, set[int](), list[Array]()
    for array in arrays:
        if array.stage == "compare":
            continue
        units = _startable(array, whole, found)
        each = 2 if left >= 2 and _measured_after(array, arrays) else 1
        taken = units[: left // each]
        if not taken:
            continue
        if len(taken) == len(array.units):
            whole.add(id(array))
        array.units = {index: array.units[index] for index in taken}
        left -= len(taken)
        found.append(array)
    for table in tables:
        known = [entry for entry in table.dependencies if isinstance(entry.what, str) or entry.what in found]
        if known and left + kept >= 1:
            table.dependencies = known
            found.append(table)
    return found


def _startable(array: Array, whole: set[int], found: Sequence[Array]) -> list[int]:
    """Indices of an array whose predecessors are in the plan, or in the queue already."""
    indices = list(array.units)
    follows = [entry.what for entry in array.dependencies if entry.kind == "aftercorr"]
    for entry in array.dependencies:
        before = entry.what
        if isinstance(before, str):
            continue
        if before in follows:
            indices = [index for index in indices if before in found and index in before.units]
        elif id(before) not in whole:
            return []
    return indices


def _measured_after(array: Array, arrays: Sequence[Array]) -> bool:
    """Whether another array measures what this one trains."""
    return any(Dependency("aftercorr", array) in other.dependencies for other in arrays)
