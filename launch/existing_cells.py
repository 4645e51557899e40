"""What a sweep's folder already holds of the cells that a launch is about to make; nothing is written here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import LaunchError, UserError
from pipeline.cell import Cell
from pipeline.cells.checkpoint_markers import newest_step


def refuse_edited_cells(cells: Sequence[Cell]) -> None:
    """RunError if the ``config.json`` of an existing cell is not that of its name: it was edited by hand."""
    for cell in cells:
        if cell.config_file.is_file():
            Cell.open(cell.config_file)


def refuse_other_ranks(cells: Sequence[Cell], sweep: Path, *, in_this_process: bool = False) -> None:
    """Stop a launch that would begin cells at step 0 only because their number of ranks is another.

    Raises:
        LaunchError: the sweep has cells that differ from these in nothing but their ranks, and were begun.
    """
    wanted = {cell.name: cell for cell in cells}
    new = {name for name, cell in wanted.items() if not cell.config_file.is_file()}
    if not new:
        return
    ranks = sorted({wanted[name].config.training.ranks for name in new})
    begun: list[tuple[Cell, int]] = []
    for file in sorted(sweep.glob("*/config.json")):
        if file.parent.name in wanted:
            continue
        try:
            cell = Cell.open(file)
        except UserError:  # reported when that cell is used
            continue
        if newest_step(cell.checkpoints) is not None and new & {
            _with_ranks(cell, number) for number in ranks
        }:
            begun.append((cell, cell.config.training.ranks))
    if not begun:
        return
    first, own = begun[0]
    step = (
        f"{first.name} is {'trained' if first.is_trained() else f'at step {newest_step(first.checkpoints)}'}"
    )
    back = (
        f"--ranks {own} resumes them"
        if not in_this_process
        else f"they need {_ranks(own)}: without --cluster debug"
    )
    raise LaunchError(
        f"{counted(len(begun), 'cell was', 'cells were')} begun with {_ranks(own)} ({step}); with"
        f" {_ranks(ranks[0])} they are other cells, which start at step 0, because random numbers depend on the number of"
        f" ranks: {back}; --restart starts the new ones"
    )


def _with_ranks(cell: Cell, ranks: int) -> str:
    """The name of the cell that differs in its ranks only; empty if there cannot be one."""
    config = cell.config
    try:
        other = replace(config, training=replace(config.training, ranks=ranks))
    except UserError:  # the batch is too small
        return ""
    return Cell.named(cell.folder.parent, other, Path(config.data.folder).name.rpartition("-")[2]).name


def _ranks(number: int) -> str:
    return counted(number, "rank")
