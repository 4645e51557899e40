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
    from pipeline.cell import Cell

ClusterName = Literal["local", "slurm", "debug"]
Phase = Literal["waiting", "training", "measuring", "done", "failed", "stopped"]
"""``stopped``: neither at work nor in a queue, and not failed: cancelled, interrupted, or never begun."""

# The last line of a traceback, before which torch puts the rank; or how a command tells an error of its user's.
_ERROR = re.compile(
    r"^(?:\[rank\d+\]: )?"
    r"(?P<whole>(?:(?P<ours>error|data_prep\.errors\.\w+)|[\w.]*(?:Error|Exception|Interrupt(?:ed)?)): (?P<sentence>.+))$",
    re.M,
)


@dataclass(frozen=True, slots=True)
class State:
    """Where a cell stands."""

    phase: Phase
    detail: str = ""
    """Why it waits, or the sentence it failed with."""
    node: str = ""
    """Where it runs."""
    restarts: int = 0
    """How often it was started again."""
    time_left: str = ""
    """Until its time limit, as SLURM writes it (``59:58``, ``1-02:03:04``); empty where there is none."""


class Backend(Protocol):
    """Runs the two units of each cell, training and then measuring."""

    def describe(self, cells: Sequence[Cell], data: Sequence[NeededData]) -> str:
        """What submitting these cells would do, for a dry run."""
        ...

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, look_closely: bool
    ) -> None:
        """See whether jobs can work here; doubts are printed. ``tracking``: address of the MLflow store.

        Raises:
            LaunchError: they cannot; the sentence says what to do.
        """
        ...

    def prepare(self, data: Sequence[NeededData]) -> None:
        """Prepare the data sets that are not ready, or all that jobs need to do it.

        Raises:
            UserError: raw files are missing or damaged.
        """
        ...

    def submit(self, cells: Sequence[Cell], lock: BinaryIO) -> None:
        """Take these cells on; those that are done or run already are found again, not started twice.

        ``lock`` is the sweep's, which is held meanwhile.
        """
        ...

    def states(self) -> dict[str, State]:
        """Where each cell stands, by its name; also starts what may start now."""
        ...

    def is_closing(self) -> bool:
        """Whether the sweep's table is still to be written by a job."""
        ...

    def interrupt(self, again: bool) -> str:
        """A person has pressed Ctrl-C (``again`` the second time): do what is right, and return what to tell them."""
        ...


def folder_for_jobs(folder: Path) -> Path:
    """The folder, absolute; LaunchError where its name is one in which jobs could not have their files."""
    folder = folder.absolute()
    for bad, what in (("%", "'%'"), ("\\", "a backslash")):
        if bad in str(folder):
            raise LaunchError(
                f"{folder} holds {what}, which SLURM and submitit put something else for; name it otherwise"
            )
    if not str(folder).isprintable():
        raise LaunchError(f"{str(folder)!r} holds a control character; name it otherwise")
    return folder


def jobs_folder(sweep: Path) -> Path:
    """Where the job folders of a sweep are: sbatch texts, pickles and logs, for nobody else's eyes."""
    return sweep / "jobs"


def new_jobs_folder(sweep: Path, name: str = "local") -> Path:
    """A new job folder, private to the user.

    Each submission has its own: a SLURM that was set up anew counts its jobs from 1 again, and would take old results for
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
    """The sentence that the ranks of a job ended with: an error of the user's first, else the last line of any."""
    found: list[re.Match[str]] = []
    for log in logs:
        if log.is_file():
            found.extend(_ERROR.finditer(log.read_text(errors="replace")))
    own = [match["sentence"] for match in found if match["ours"]]
    return ["ended without a word: killed, or its node was lost", *(match["whole"] for match in found), *own][
        -1
    ]
