"""What was started, for the page of a sweep: its commands, recipe and code, from what launches have recorded."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_prep.counted import counted
from data_prep.program_name import program
from launch.launch_record import launches_by, recorded_recipes
from launch.measure_options import Measure
from launch.monitoring.named import SweepFolder, command
from launch.recipes import RECIPES
from launch.repeated import command_of
from launch.sweep_options import Sweep
from launch.sweep_page.cells import CellRead
from pipeline.measures.plan import is_done
from pipeline.pages.explored_cell import FILE as EXPLORER
from pipeline.pages.report_page import Fact
from pipeline.tracking.state import UploadState
from pipeline.tracking.sweep_identity import SweepIdentity


def what_was_started(sweep: Path, cells: Sequence[CellRead]) -> list[Fact]:
    """The recipes, the commands with their times, the code, and where all this is."""
    facts: list[Fact] = [
        ("recipe", name if name not in RECIPES else f"{name}: {RECIPES[name].describes}")
        for name in recorded_recipes(sweep)
        if name
    ]
    facts += [(f"started {time}", line) for time, line in launched(sweep)]
    facts += [("code", line) for line in code_of(cells)]
    identity = SweepIdentity.read(sweep)
    if identity is not None:
        facts.append(("MLflow", f"experiment {identity.experiment}, sweep {sweep.name}"))
    facts.append(("folder", str(sweep)))
    return facts


def launched(sweep: Path) -> list[tuple[str, str]]:
    """Time and command of each launch, oldest first, as far as its options can be read."""
    found = [
        *((one.time, command_of(program("sweep"), one.options)) for one in launches_by(sweep, Sweep)),
        *(
            (one.time, command_of(program("measure"), one.options))
            for one in launches_by(sweep, Measure, "measure")
        ),
    ]
    return sorted(found)


def code_of(cells: Sequence[CellRead]) -> list[str]:
    """The commits that the cells were trained with, each with their number if there are several."""
    commits: Counter[str] = Counter()
    for cell in cells:
        state = UploadState.load(cell.folder.folder)
        commit = "" if state is None else state.tags.get("git_commit", "")
        if state is not None and commit:
            changed = state.tags.get("git_dirty") == "true"
            commits[f"commit {commit}{', with changes that are not committed' if changed else ''}"] += 1
    if len(commits) == 1:
        return list(commits)
    return [f"{commit} ({counted(count, 'cell')})" for commit, count in commits.items()]


def commands(sweep: Path, cells: Sequence[CellRead]) -> list[Fact]:
    """What makes the runs, their numbers and pages again, and what is left to do."""
    folder = SweepFolder(sweep)
    elsewhere = sweep.parent != Path("runs").absolute()
    where = ["--runs", str(sweep.parent)] if elsewhere else []
    name = shlex.join([sweep.name, *where])
    own = launched(sweep)
    facts: list[Fact] = [("all of it: what is done is not repeated", line) for _, line in own]
    if not any(program("sweep") in line for _, line in own):
        facts.append(
            (
                "a cell as its config.json says, for those that no sweep started",
                f"python -m jobs.train --config {shlex.quote(str(sweep / 'CELL' / 'config.json'))}",
            )
        )
    if any(cell.state.phase in ("failed", "stopped") for cell in cells):
        facts.append(("the cells that failed", command("retry", folder)))
    if any(cell.state.phase in ("training", "measuring", "waiting") for cell in cells):
        facts.append(("what runs now", f"{command('status', folder)} --watch"))
    facts.append(("this page", f"{program('report')} --page {name}"))
    if any(is_done(cell.folder) for cell in cells):
        facts.append(("the table on a terminal", f"{program('compare')} --sweep {name}"))
    without = [c for c in cells if c.run and not (c.folder.folder / EXPLORER).is_file()]
    if without:
        facts.append(
            (
                "an explorer of a cell",
                f"{program('explore')} {shlex.join([sweep.name, without[0].folder.name, *where])}",
            )
        )
    return facts
