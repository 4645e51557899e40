"""The interface of all clusters."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from data_prep.errors import LaunchError

if TYPE_CHECKING:  # status looks at a sweep without torch
    from launch.plan import NeededData
    from launch.readers import ReaderSweep
    from pipeline.cell import Cell

ClusterName = Literal["local", "slurm", "debug"]
Phase = Literal["waiting", "training", "measuring", "done", "failed", "stopped"]
"""``stopped``: neither running nor queued, and not failed: cancelled, interrupted, or never started."""

# The last line of a traceback, which torch prefixes with the rank; or how a command reports a user error.
_ERROR = re.compile(
    r"^(?:\[rank\d+\]: )?"
    r"(?P<whole>(?:(?P<ours>error|data_prep\.errors\.\w+)|[\w.]*(?:Error|Exception|Interrupt(?:ed)?)): (?P<sentence>.+))$",
    re.M,
)


@dataclass(frozen=True, slots=True)
class State:
    """The status of a cell."""

    phase: Phase
    detail: str = ""
    """Why it waits, or the sentence it failed with."""
    node: str = ""
    """Where it runs."""
    restarts: int = 0
    """Number of restarts."""
    time_left: str = ""
    """Time left until its limit, as SLURM writes it (``59:58``, ``1-02:03:04``); empty if there is none."""
    measure: str = ""
    """Of a cell that is measured: which measure it is at, since when, and how many it has."""


class Backend(Protocol):
    """Runs the two units of each cell, training and then measuring."""

    def describe(
        self, cells: Sequence[Cell], data: Sequence[NeededData], readers: Sequence[Cell] = ()
    ) -> str:
        """What submitting these cells would do, and label readers that are to be trained first, for a dry run."""
        ...

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Check whether jobs can work here; warnings are printed. ``tracking``: address of the MLflow store.

        Raises:
            LaunchError: they cannot; the sentence says what to do.
        """
        ...

    def prepare(self, data: Sequence[NeededData]) -> None:
        """Prepare the data sets that are not ready, or what jobs need to do it.

        Raises:
            UserError: raw files are missing or damaged.
        """
        ...

    def submit(
        self,
        cells: Sequence[Cell],
        lock: BinaryIO,
        *,
        train: bool = True,
        readers: Sequence[ReaderSweep] = (),
    ) -> None:
        """Submit these cells; those that are done or already running are found, not started twice.

        The measures are those of each cell here (``Cell.measures_config``), not of its ``config.json``. Without
        ``train``, cells that are not trained are left as they are. ``lock`` is the sweep's, held by the caller.
        ``readers`` are trained in any case, as cells of their own sweeps; measures that rest on them wait for them.
        """
        ...

    def states(self) -> dict[str, State]:
        """The status of each cell and reader, by name; also starts what can start now."""
        ...

    def is_closing(self) -> bool:
        """Whether a job is still to write the sweep's table."""
        ...

    def interrupt(self, again: bool) -> str:
        """Handle Ctrl-C (``again``: pressed a second time), and return what to tell the user."""
        ...


def folder_for_jobs(folder: Path) -> Path:
    """The folder, absolute; LaunchError if jobs cannot have their files in a folder of this name."""
    folder = folder.absolute()
    for bad, what in (("%", "'%'"), ("\\", "a backslash")):
        if bad in str(folder):
            raise LaunchError(
                f"{folder} contains {what}, which SLURM and submitit would substitute; use another name"
            )
    if not str(folder).isprintable():
        raise LaunchError(f"{str(folder)!r} contains a control character; use another name")
    return folder


def jobs_folder(sweep: Path) -> Path:
    """The folder of a sweep's job folders: sbatch scripts, pickles and logs, private to the user."""
    return sweep / "jobs"


def new_jobs_folder(sweep: Path, name: str = "local") -> Path:
    """A new job folder, private to the user.

    Each submission has its own: a reinstalled SLURM numbers its jobs from 1 again, and old results would be taken for
    new ones.
    """
    for number in itertools.count():
        folder = jobs_folder(sweep) / f"{datetime.now():%Y%m%d-%H%M%S}-{name}{number or ''}"
        try:
            jobs_folder(sweep).mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(mode=0o700)
        except FileExistsError:
            continue
        return folder
    raise AssertionError("itertools.count does not end")


def last_error(logs: list[Path]) -> str:
    """The message that a job's ranks ended with: a user error if there is one, else the last line of any."""
    found: list[re.Match[str]] = []
    for log in logs:
        if log.is_file():
            found.extend(_ERROR.finditer(log.read_text(errors="replace")))
    own = [match["sentence"] for match in found if match["ours"]]
    return [
        "exited without an error message (killed, or its node was lost)",
        *(match["whole"] for match in found),
        *own,
    ][-1]
