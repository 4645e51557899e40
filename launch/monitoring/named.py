"""Finding a sweep and its cells by name."""

from __future__ import annotations

import difflib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated

import tyro

from data_prep.errors import LaunchError
from data_prep.program_name import program
from launch.clusters.slurm.register import REGISTER_FILE
from launch.command_line import described
from pipeline.cells.folder import CellFolder

SweepName = Annotated[str, tyro.conf.arg(metavar="SWEEP"), tyro.conf.Positional]
CellName = Annotated[str, tyro.conf.arg(metavar="CELL"), tyro.conf.Positional]
CellNames = Annotated[tuple[str, ...], described("[CELL ...]"), tyro.conf.Positional]


@dataclass(frozen=True)
class SweepFolder:
    """An existing sweep: ``runs/<sweep>``."""

    path: Path

    @classmethod
    def named(cls, name: str, runs: Path) -> SweepFolder:
        """The sweep of that name among ``runs``, or the one at that path; LaunchError, with the likely name, if none is."""
        folders = [path for path in (runs / name, Path(name)) if name and path.is_dir()]
        for path in folders:
            if holds_cells(path) or (path / REGISTER_FILE).is_file():
                return cls(Path(os.path.abspath(path)))  # without "..", since its name and its parent count
        there = [sweep.path.name for sweep in sweeps_in(runs)]
        likely = difflib.get_close_matches(name, there, 1)
        if folders:
            hint = f"the folder {folders[0]} has no run in it (a folder with config.json)"
        elif likely:
            hint = f"did you mean {likely[0]}?"
        else:
            hint = f"there are: {', '.join(there)}" if there else "there are none yet"
        raise LaunchError(f"no sweep {name!r} in {runs}; {hint}")

    @cached_property
    def cells(self) -> list[CellFolder]:
        """Its cells, sorted by name."""
        return [CellFolder(file.parent) for file in sorted(self.path.glob("*/config.json"))]

    @property
    def is_on_slurm(self) -> bool:
        """Whether SLURM jobs were submitted for it."""
        return (self.path / REGISTER_FILE).is_file()

    def cell(self, text: str) -> CellFolder:
        """The cell of that name, or the only one whose name contains the text; LaunchError if none or several do."""
        names = [cell.name for cell in self.cells]
        found = [text] if text in names else [name for name in names if text in name]
        if len(found) == 1:
            return self.cells[names.index(found[0])]
        if found:
            raise LaunchError(
                f"{len(found)} cells of {self.path.name} match {text!r}: {_some(found)}; give more of the name"
            )
        likely = difflib.get_close_matches(text, names, 1, cutoff=0.3)
        if likely:
            hint = f"did you mean {likely[0]}?"
        else:
            hint = f"there are: {_some(names)}" if names else "it has none yet"
        raise LaunchError(f"no cell of {self.path.name} matches {text!r}; {hint}")


def named_run(run: str, cell: str, runs: Path) -> CellFolder:
    """The cell in a folder, or that of a sweep whose name has the text ``cell`` in it (any, if the sweep has only one).

    Raises:
        LaunchError: there is no such sweep or cell, or there are several.
    """
    folder = Path(run)
    if (folder / "config.json").is_file():
        return CellFolder(folder.absolute())
    sweep = SweepFolder.named(run, runs)
    if not cell and len(sweep.cells) > 1:
        names = ", ".join(each.name for each in sweep.cells[:4])
        raise LaunchError(f"{run} has {len(sweep.cells)} runs: name one after it, such as {names}")
    return sweep.cell(cell)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:4]) + (", ..." if len(names) > 4 else "")


def holds_cells(folder: Path) -> bool:
    """Whether a folder is a sweep's: one of its folders has a ``config.json``."""
    return next(folder.glob("*/config.json"), None) is not None


def sweeps_in(runs: Path) -> list[SweepFolder]:
    """The sweeps in the folder of the runs, by name."""
    if not runs.is_dir():
        return []
    folders = [path for path in sorted(runs.iterdir()) if path.is_dir()]
    return [SweepFolder(path.absolute()) for path in folders if holds_cells(path)]


def cells_named(sweep: SweepFolder, texts: Sequence[str]) -> list[CellFolder]:
    """The cells given by the user, each by an unambiguous part of its name; all if none is given."""
    return list(dict.fromkeys(sweep.cell(text) for text in texts)) if texts else sweep.cells


def command(word: str, sweep: SweepFolder) -> str:
    """The command line of a subcommand for this sweep, quoted for a shell."""
    elsewhere = sweep.path.parent != Path("runs").absolute()
    where = ["--runs", str(sweep.path.parent)] if elsewhere else []
    return f"{program('sweep')} {shlex.join([word, sweep.path.name, *where])}"
