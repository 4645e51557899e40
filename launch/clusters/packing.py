"""Cells that share a GPU, for all clusters."""

from __future__ import annotations

from collections.abc import Sequence

from data_prep.errors import LaunchError
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
