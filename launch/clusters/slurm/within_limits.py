"""Submitting a plan as far as the queue has room for its jobs."""

from __future__ import annotations

from collections.abc import Callable

from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.register import Held
from launch.clusters.slurm.room import fitting
from launch.clusters.slurm.sbatch import NoRoom
from launch.clusters.slurm.submit_limits import SubmitLimit


def submit_within(
    limit: Callable[[], SubmitLimit | None],
    plan: Callable[[], list[Array]],
    submit: Callable[[Array], None],
) -> dict[str, Held]:
    """Submit what there is room for; returns the units that wait, by name, each with its first stage that does.

    If SLURM refuses an array because of a limit that was not known, half as many tasks are tried, and so on.

    Args:
        limit: the known limit, as it is now; None if there is none.
        plan: what is left to submit, planned anew by each call.
        submit: submits an array; raises NoRoom.
    """
    room, why = None, ""
    while True:
        arrays = plan()
        if not why and (known := limit()) is not None:
            room, why = known.room, str(known)
        wanted = [name for array in arrays for name in _names(array)]
        arrays = arrays if room is None else fitting(arrays, room)
        submitted: set[tuple[str, str]] = set()
        for array in arrays:
            try:
                submit(array)
            except NoRoom as refusal:
                room, why = len(array.units) // 2, f"sbatch accepts no more jobs at the moment ({refusal})"
                break
            submitted |= set(_names(array))
        else:
            return _held(wanted, submitted, why)
        if not room:
            return _held(wanted, submitted, why)


def _names(array: Array) -> list[tuple[str, str]]:
    """Stage and name of its units, of each cell of a pack."""
    return [(array.stage, cell.name) for unit in array.units.values() for cell in unit.of_cells]


def _held(wanted: list[tuple[str, str]], submitted: set[tuple[str, str]], why: str) -> dict[str, Held]:
    held: dict[str, Held] = {}
    for stage, name in wanted:
        if (stage, name) not in submitted and stage != "compare":
            held.setdefault(name, Held(stage=stage, why=why))
    return held


def worth_another_try(limit: SubmitLimit, left: int) -> bool:
    """Whether there is room for all that is left, or for at least a quarter of what the limit allows."""
    return limit.room >= max(1, min(left, limit.most // 4))
