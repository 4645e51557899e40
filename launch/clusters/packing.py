"""Cells that share a GPU, for all clusters."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from data_prep.errors import LaunchError
from data_prep.files import atomic_write
from jobs.trial import COUNTS, Trials
from launch.clusters.resources import Resources
from pipeline.cell import Cell


def cells_per_gpu(resources: Resources) -> int:
    """How many cells share a GPU; ``auto`` counts as 1 until it has been replaced by what was found."""
    chosen = resources.cells_per_gpu
    return 1 if chosen is None or chosen == "auto" else chosen


def refuse_to_pack_ranks(cells: Sequence[Cell], resources: Resources) -> None:
    """LaunchError if cells of several ranks are to share a GPU: NCCL wants a GPU for each rank."""
    several = [cell for cell in cells if cell.config.training.ranks > 1 and not cell.is_trained()]
    if several and resources.cells_per_gpu not in (None, 1):
        raise LaunchError(
            f"cells_per_gpu is {resources.cells_per_gpu}, but {several[0].name} has"
            f" {several[0].config.training.ranks} ranks: only runs of one rank can share a"
            " GPU; use --ranks 1, or --cells-per-gpu 1"
        )


TRIALS_FILE = "cells_per_gpu.json"
"""In a sweep's folder: what ``auto`` found, by place."""


def without_auto(
    sweep: Path,
    resources: Resources,
    place: str,
    trials: Callable[[Sequence[int]], Trials | None],
    cells: int,
) -> Resources:
    """The resources with ``auto`` replaced by the number that was found, now or by an earlier launch of the sweep.

    Args:
        sweep: its folder, where the number is remembered.
        resources: as they are requested.
        place: where the cells run, in words; another place is tried anew.
        trials: tries these numbers of cells; None if nothing came of it.
        cells: how many there are: no more are tried at once.
    """
    if resources.cells_per_gpu != "auto":
        return resources
    found = remembered(sweep, place)
    if found is None:
        counts = [count for count in COUNTS if count <= max(1, cells)]
        print(
            f"cells_per_gpu auto: trying {', '.join(map(str, counts))} {'cell' if counts == [1] else 'cells'} at once on"
            f" {place}",
            flush=True,
        )
        found = trials(counts)
        if found is None:
            print("cells_per_gpu auto: nothing was found out; 1 cell at once", flush=True)
            return replace(resources, cells_per_gpu=1)
        _remember(sweep, place, found)
    print(f"cells_per_gpu auto: {found}", flush=True)
    return replace(resources, cells_per_gpu=found.chosen)


def remembered(sweep: Path, place: str) -> Trials | None:
    """What an earlier launch of the sweep found at this place."""
    return Trials.of(_all(sweep).get(place))


def _remember(sweep: Path, place: str, found: Trials) -> None:
    with atomic_write(sweep / TRIALS_FILE) as file:
        file.write(json.dumps(_all(sweep) | {place: asdict(found)}, indent=1).encode() + b"\n")


def _all(sweep: Path) -> dict[str, object]:
    try:
        found = json.loads((sweep / TRIALS_FILE).read_bytes())
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
