"""The interface of all clusters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:  # status looks at a sweep without torch
    from pipeline.cell import Cell

ClusterName = Literal["local", "slurm", "debug"]
Phase = Literal["waiting", "training", "measuring", "done", "failed", "stopped"]
"""``stopped``: neither at work nor in a queue, and not failed: cancelled, interrupted, or never begun."""

# The last line of a traceback; torch puts the rank before it.
_ERROR = re.compile(
    r"^(\[rank\d+\]: )?(?P<whole>(?P<ours>data_prep\.errors\.)?[\w.]*(Error|Exception|Interrupt(ed)?): (?P<sentence>.+))$",
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

    def describe(self, cells: list[Cell]) -> str:
        """What submitting these cells would do, for a dry run."""
        ...

    def submit(self, cells: list[Cell]) -> None:
        """Take these cells on; those that run already are found again, not started twice."""
        ...

    def states(self) -> dict[str, State]:
        """Where each cell stands, by its name; also starts what may start now."""
        ...

    def interrupt(self, told: bool) -> str:
        """A person has pressed Ctrl-C (``told`` the second time): do what is right, and return what to tell them."""
        ...


def jobs_folder(sweep: Path) -> Path:
    """A new folder for this invocation's submitit files.

    A SLURM that was set up anew counts its jobs from 1 again, and would take old results for new ones.
    """
    folder = sweep / "jobs" / datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    folder.mkdir(parents=True, mode=0o700)
    return folder


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
