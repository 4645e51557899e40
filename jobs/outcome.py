"""How an attempt at a cell ended, and what happens next.

A process that raises an exception writes ``outcome.json``; one that is killed writes nothing. Afterwards, in the batch
script or in a launcher, ``next_action`` reads what is there, adds the attempt to ``attempts.jsonl``, and decides whether
the unit is done, runs again, or is given up. Nothing here imports torch.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from data_prep.counted import counted
from data_prep.errors import Interrupted, LeaseLost, LostRank, UserError, full_disk_sentence
from data_prep.files import atomic_write
from pipeline.cells.attempt import Attempt
from pipeline.cells.checkpoint_markers import newest_step
from pipeline.cells.folder import RESET, CellFolder
from pipeline.cells.lease import Holder, superseded
from pipeline.measures.plan import is_done
from pipeline.measures.settings import MeasuresConfig
from pipeline.raised import in_one_sentence, may_pass

OUTCOME_FILE = "outcome.json"

Unit = Literal["train", "evaluate"]
Action = Literal["done", "again", "give_up", "leave"]
"""``leave``: do nothing after this attempt; its job was ended from outside, or already restarted."""
Ending = Literal["interrupted", "failed", "crashed", "lost"]

_RANK_ENDED_BY_ITS_WATCHDOG = re.compile(r"^Timeout \((?P<clock>[\d:.]+)\)!$", re.M)
_ATTEMPT_BEGINS = "this is "


@dataclass(frozen=True, kw_only=True, slots=True)
class Outcome:
    """``outcome.json``: how an attempt ended, written by the process that ended."""

    job: str
    restart: int
    unit: str
    outcome: Ending
    """``interrupted``: asked to stop; ``failed``: a retry would not help; ``crashed``: a retry may help; ``lost``: the
    same, by a rank that only lost the others."""
    sentence: str
    step: int | None
    """Step of the newest checkpoint."""

    @classmethod
    def read(cls, folder: Path) -> Outcome | None:
        """The outcome of the last attempt; None if there is none that can be read."""
        try:
            return cls(**json.loads((folder / OUTCOME_FILE).read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def is_of(self, attempt: Attempt, unit: str) -> bool:
        """Whether this attempt wrote it."""
        return (self.job, self.restart, self.unit) == (attempt.job, attempt.restart, unit)

    @classmethod
    def clear(cls, folder: Path) -> None:
        """Delete the outcome of the previous attempt; the first thing an attempt does once it has the lease."""
        (folder / OUTCOME_FILE).unlink(missing_ok=True)


def write_outcome(cell: CellFolder, unit: Unit, attempt: Attempt, error: BaseException) -> None:
    """Record why this attempt ends, unless another attempt has taken the lease.

    Of several ranks that end, the first one's reason stays: the others follow from it. A rank that only lost the others
    knows less than any of them.
    """
    if isinstance(error, LeaseLost) or superseded(cell.folder, attempt):
        return
    ending, sentence = _ending(error)
    outcome = Outcome.read(cell.folder)
    if outcome is not None and outcome.is_of(attempt, unit) and (ending == "lost" or _is_final(outcome)):
        return
    _write(cell, unit, attempt, ending, sentence)


def write_failure(cell: CellFolder, unit: Unit, attempt: Attempt, sentence: str) -> None:
    """Record why an attempt failed before it began, unless another attempt has taken the lease."""
    if not superseded(cell.folder, attempt):
        _write(cell, unit, attempt, "failed", sentence)


def _write(cell: CellFolder, unit: Unit, attempt: Attempt, ending: Ending, sentence: str) -> None:
    outcome = Outcome(
        job=attempt.job,
        restart=attempt.restart,
        unit=unit,
        outcome=ending,
        sentence=sentence,
        step=newest_step(cell.checkpoints),
    )
    with atomic_write(cell.folder / OUTCOME_FILE) as file:
        file.write(json.dumps(asdict(outcome)).encode() + b"\n")


def _is_final(outcome: Outcome) -> bool:
    return outcome.outcome in ("failed", "crashed")


def _ending(error: BaseException) -> tuple[Ending, str]:
    if isinstance(error, Interrupted):
        return "interrupted", str(error)
    if isinstance(error, LostRank):
        return "lost", str(error)
    full = full_disk_sentence(error)
    if full is not None:
        return "failed", full
    if isinstance(error, UserError) or not may_pass(error):
        return "failed", in_one_sentence(error)
    return "crashed", in_one_sentence(error)


def next_action(
    cell: CellFolder,
    unit: Unit,
    attempt: Attempt,
    retries: int,
    is_newest_start: Callable[[], bool] = lambda: True,
    measures: MeasuresConfig | None = None,
) -> Action:
    """What to do after an attempt at a unit, however it ended; called once per attempt.

    An attempt that was asked to stop is always repeated. One that crashed is repeated ``retries`` times in a row without
    a newer checkpoint in between. One that reports that a retry would not help is not. A cell that is given up
    has its reason in ``FAILED``. If another process has taken the lease, nothing is touched.
    ``measures``: what evaluating was to measure; None: what the cell's configuration names.
    ``is_newest_start`` is called last: an attempt that SLURM considers lost may end late, and does not count.
    """
    if superseded(cell.folder, attempt):
        return "done"
    if cell.is_trained() if unit == "train" else is_done(cell, measures):
        return "done"
    ending, sentence = _how_it_ended(cell, unit, attempt)
    if ending != "failed" and not is_newest_start():
        return "leave"
    entry = {
        "job": attempt.job,
        "restart": attempt.restart,
        "node": _node(cell, attempt),
        "unit": unit,
        "ended": ending,
        "step": newest_step(cell.checkpoints),
        "sentence": sentence,
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
    }
    earlier = list(attempts(cell))
    try:
        cell.note_attempt(entry)
        if ending == "interrupted":
            return "again"
        if ending == "crashed":
            tries = _crashes_in_a_row([*earlier, entry], unit)
            if tries <= retries:
                return "again"
            sentence = f"{sentence}; given up after {counted(tries, 'attempt')} without a newer checkpoint"
        cell.give_up(sentence)
    except OSError:  # if not even this can be written, another attempt would fail too
        return "give_up"
    return "give_up"


def attempts(cell: CellFolder) -> Iterator[dict[str, Any]]:
    """The lines of ``attempts.jsonl``; a truncated one is skipped."""
    try:
        lines = cell.attempts_file.read_text().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def begins(attempt: Attempt) -> str:
    """The first line of each rank's log of an attempt."""
    return f"{_ATTEMPT_BEGINS}{attempt}"


def _how_it_ended(cell: CellFolder, unit: Unit, attempt: Attempt) -> tuple[Ending, str]:
    outcome = Outcome.read(cell.folder)
    own = outcome if outcome is not None and outcome.is_of(attempt, unit) else None
    if own is not None and own.outcome != "lost":
        return own.outcome, own.sentence
    # A rank ended by its watchdog explains more than those that lost it.
    stuck = _ended_by_the_watchdog(cell, unit)
    if stuck is not None:
        return "crashed", stuck
    if own is not None:
        return "crashed", own.sentence
    return "crashed", "exited without an error message (killed, out of memory, or its node was lost)"


def _ended_by_the_watchdog(cell: CellFolder, unit: Unit) -> str | None:
    """The message about ranks that their watchdog ended, from their logs of the last attempt."""
    logs = sorted(
        (cell.folder / "log").glob(f"{unit}-rank*.txt"), key=lambda path: (len(path.name), path.name)
    )
    found = {}
    for log in logs:
        last_attempt = log.read_text(errors="replace").rpartition(_ATTEMPT_BEGINS)[2]
        match = _RANK_ENDED_BY_ITS_WATCHDOG.search(last_attempt)
        if match is not None:
            found[log] = _seconds(match["clock"])
    if not found:
        return None
    seconds, where = f"{max(found.values()):g} s", f"(stacks in {', '.join(map(str, found))})"
    if unit == "evaluate":
        return f"measuring read no batch for {seconds} {where}"
    ranks = " and ".join(log.stem.removeprefix(f"{unit}-rank") for log in found)
    return f"rank {ranks} made no step for {seconds} {where}"


def _seconds(clock: str) -> float:
    hours, minutes, seconds = clock.split(":")
    return 3600 * int(hours) + 60 * int(minutes) + float(seconds)


def _node(cell: CellFolder, attempt: Attempt) -> str:
    """Where it ran: rank 0's node if it took the lease, else the caller's."""
    holder = Holder.read(cell.folder)
    return holder.attempt.host if holder and holder.attempt.is_same_start_as(attempt) else attempt.host


def _crashes_in_a_row(entries: list[dict[str, Any]], unit: Unit) -> int:
    """How often the unit has crashed since the newest checkpoint and since its failures were last reset."""
    newest, count = entries[-1]["step"], 0
    for entry in reversed(entries):
        if entry.get("ended") == RESET:
            break
        if entry.get("unit") != unit:
            continue
        if entry.get("step") != newest:
            break
        count += entry.get("ended") == "crashed"
    return count
