"""Runs at the end of a SLURM job's batch script: are its units done, or is the job requeued?

``python -m jobs.epilogue --units FILE.json --status N --retries R``. FILE.json is a list with an entry for each index of the
array (one entry for a job that is no array): ``{"unit": "train", "config": "/path/config.json"}``; evaluate has ``take`` and
``split`` as well, what it measures, and the units other than these two have no ``config``. A pack (``jobs.pack``) has
``configs``, a list, instead. N is the exit status of srun, or of the line of the site's setup that failed before it
(``--setup-line``).

Exit status: 0 for a unit that is done; otherwise that of srun, or 1, so that what depends on the job does not start. A
pack that trains is done if one of its cells is trained, for the next job then measures that one.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from data_prep.errors import ConfigError, report_user_errors
from jobs.outcome import Action, Unit, next_action, write_failure
from jobs.pack import measures_of, settled
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CellFolder
from pipeline.measures.settings import MeasuresConfig

SECONDS_TO_BE_REQUEUED = 120.0
"""How long a requeued job waits for SLURM to end it."""
SECONDS_WITHOUT_SLURMCTLD = 600.0
"""How long it retries while the controller does not answer."""

_STATE = re.compile(r"\bJobState=(\w+)")
_CONTROLLER_IS_AWAY = re.compile(r"contact|connect|timed out|time out|socket|zero bytes|communication", re.I)
_RESTARTS = re.compile(r"\bRestarts=(\d+)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(prog="python -m jobs.epilogue", description=__doc__)
    parser.add_argument("--units", type=Path, required=True, help="JSON list, an entry for each array index")
    parser.add_argument("--status", type=int, required=True, help="exit status of srun")
    parser.add_argument("--retries", type=int, required=True, help="how often a crashed unit is retried")
    parser.add_argument("--setup-line", help="line of the site's setup that failed, so that srun did not run")
    given = parser.parse_args(arguments)
    with report_user_errors():
        attempt = Attempt.here()
        entry, status = _own_entry(given.units), given.status
        if given.setup_line is not None:
            status = 2  # no retry would help
            _note_failed_setup(entry, attempt, given.setup_line, given.status, given.units.parent)
        action = _action(entry, attempt, status, given.retries)
        if action == "again":
            _say(f"job {attempt.job} is requeued")
            _ask_slurm(["scontrol", "requeue", attempt.job])
            time.sleep(SECONDS_TO_BE_REQUEUED)  # SLURM ends this process in the meantime
    raise SystemExit(0 if action == "done" else status or 1)


def _note_failed_setup(entry: dict[str, Any], attempt: Attempt, line: str, status: int, folder: Path) -> None:
    """Report a line that the batch script ran before Python, and failed, as the outcome of the unit."""
    words = _last_line(folder / f"{attempt.job}_0_log.err")
    sentence = f"the setup line '{line}' failed on {attempt.host} with status {status}{f' ({words})' if words else ''}"
    print(f"error: {sentence}", file=sys.stderr, flush=True)
    unit = entry["unit"]
    if unit in ("train", "evaluate"):
        for config in entry.get("configs") or [entry.get("config")]:
            write_failure(CellFolder.of(Path(str(config))), unit, attempt, sentence)


def _last_line(log: Path) -> str:
    """The last line that a batch script wrote to standard error, without its own place in it."""
    try:
        lines = log.read_text(errors="replace").split("\n")
    except OSError:
        return ""
    last = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return re.sub(r"^\S+: line \d+: ", "", last)


def _own_entry(units: Path) -> dict[str, Any]:
    index = int(os.environ.get("SLURM_ARRAY_TASK_ID") or 0)
    try:
        entries = json.loads(units.read_bytes())
        entry = entries[index]
        if isinstance(entry["unit"], str):
            return dict(entry)
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ConfigError(f"{units} names no unit for the array index {index} ({error})") from None
    raise ConfigError(f"{units} names no unit for the array index {index}")


def _action(entry: dict[str, Any], attempt: Attempt, status: int, retries: int) -> Action:
    unit = entry["unit"]
    newest = cache(lambda: _is_the_newest_start(attempt))
    if unit in ("train", "evaluate"):
        if "configs" in entry:
            return _action_of_a_pack(entry, attempt, retries, newest)
        cell = CellFolder.of(Path(str(entry.get("config"))))
        return next_action(cell, unit, attempt, retries, newest, _measures(cell, entry))
    if status == 0:
        return "done"
    if status == 2:  # a user error
        return "give_up"
    if attempt.restart >= retries:
        return "give_up"
    return "again" if newest() else "leave"


def _action_of_a_pack(
    entry: dict[str, Any], attempt: Attempt, retries: int, newest: Callable[[], bool]
) -> Action:
    """What follows from what the pack left: its cells that crashed earlier in this start were started again there."""
    unit: Unit = entry["unit"]
    actions = []
    for config in entry["configs"]:
        cell = CellFolder.of(Path(str(config)))
        measures = _measures(cell, entry)
        was_settled = settled(cell, unit, attempt, measures)
        actions.append(was_settled or next_action(cell, unit, attempt, retries, newest, measures))
    if "again" in actions:
        return "again"
    if unit == "train":
        return "done" if "done" in actions else actions[0]
    return "give_up" if "give_up" in actions else "done"


def _measures(cell: CellFolder, entry: dict[str, Any]) -> MeasuresConfig | None:
    """The measures of the unit; None to use the cell's configuration."""
    return measures_of(cell, entry.get("take"), entry.get("split"))


def _is_the_newest_start(attempt: Attempt) -> bool:
    """Whether SLURM considers the job running, as this start or an earlier one.

    It does not if the job was cancelled or already requeued, or if it considers this start's node lost. A controller
    that was killed may have forgotten the newest restarts.
    """
    answer = _ask_slurm(["scontrol", "--oneliner", "show", "job", attempt.job])
    state, restarts = _STATE.search(answer), _RESTARTS.search(answer)
    if state is None or state[1] != "RUNNING":
        _say(f"job {attempt.job} is {state[1] if state else 'unknown'}: left alone")
        return False
    if restarts is not None and int(restarts[1]) > attempt.restart:
        _say(f"job {attempt.job} was already restarted: left alone")
        return False
    return True


def _ask_slurm(command: list[str]) -> str:
    """The output of a SLURM command; retried while the controller does not answer."""
    deadline = time.monotonic() + SECONDS_WITHOUT_SLURMCTLD
    while True:
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=60)
        except FileNotFoundError:
            raise ConfigError(
                f"{command[0]} is not installed: this runs in the batch script of a job"
            ) from None
        except subprocess.TimeoutExpired:
            problem = "no answer"
        else:
            problem = ended.stderr.strip()
            if ended.returncode == 0:
                return ended.stdout
            if "Invalid job id" in problem:
                return ""
            if not _CONTROLLER_IS_AWAY.search(problem):
                raise ConfigError(f"{' '.join(command)}: {problem}")
        if time.monotonic() > deadline:
            raise ConfigError(f"{' '.join(command)}: {problem}")
        _say(f"{' '.join(command[:2])}: {problem}; retrying")
        time.sleep(5.0)


def _say(sentence: str) -> None:
    print(f"after: {sentence}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
