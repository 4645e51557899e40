"""This user's jobs in SLURM: one ``squeue`` call for those in the queue, one ``sacct`` call for the others."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.errors import LaunchError
from launch.clusters.slurm.reasons import ended_words, reason_words

CLIENT_TIMEOUT_S = 60.0

# Fixed widths, because names and comments may contain any separator; SLURM pads and truncates bytes, not characters.
_COLUMNS = {
    "JobArrayID": 32,
    "State": 20,
    "Reason": 160,
    "NodeList": 256,
    "TimeLeft": 20,
    "RestartCnt": 12,
    "Name": 320,
    "Comment": 512,
}
_JOB_ID = re.compile(r"\d+(_\d+)?")
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "SIGNALING", "STAGE_OUT", "RESIZING", "STOPPED"}
_NOT_ENDED = _RUNNING | {"PENDING", "REQUEUED", "REQUEUE_HOLD", "CONFIGURING"}


@dataclass(frozen=True, kw_only=True, slots=True)
class QueuedJob:
    """A job, or one task of an array, in SLURM's queue."""

    id: str
    """``123``, or ``123_4`` for task 4 of the array 123."""
    state: str
    """SLURM's state: PENDING, RUNNING, COMPLETING, ..."""
    reason: str = ""
    """SLURM's reason why it does not run; empty if it runs."""
    node: str = ""
    """Where it runs, as SLURM writes it: ``n1`` or ``n[1-2]``."""
    time_left: str = ""
    """Time left until its limit: ``1-02:03:04``, ``59:58``; empty if it has none."""
    restarts: int = 0
    """How often SLURM has restarted it."""
    name: str = ""
    comment: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it holds nodes: it runs, is completing, or is suspended."""
        return self.state in _RUNNING

    @property
    def explanation(self) -> str:
        """Why it waits, as text; empty if it runs."""
        if self.is_running:
            return {"SUSPENDED": "suspended", "COMPLETING": "ending"}.get(self.state, "")
        if self.state == "CONFIGURING":
            return "its nodes are starting"
        return reason_words(self.reason)


@dataclass(frozen=True, kw_only=True, slots=True)
class EndedJob:
    """A job, or one task of an array, that is no longer in the queue."""

    id: str
    state: str
    """SLURM's state: COMPLETED, FAILED, TIMEOUT, CANCELLED, ..."""
    exit_code: int = 0
    """Exit status of the batch script."""
    signal: int = 0
    """Number of the signal that ended the batch script; 0: none."""
    node: str = ""
    cancelled_by: int | None = None
    """UID of the user who cancelled it."""

    @property
    def explanation(self) -> str:
        """How it ended, as text; empty if it succeeded."""
        return ended_words(self.state, self.exit_code, self.signal, self.node, self.cancelled_by)


@dataclass(frozen=True, slots=True)
class Accounting:
    """What ``sacct`` knows."""

    jobs: Mapping[str, EndedJob] = field(default_factory=dict)
    """By job id; without running and waiting jobs."""
    is_there: bool = True
    """False if the cluster has no accounting, or does not answer: then nothing is known of jobs that left the queue."""


def queued(*, name: str | None = None, comment: str | None = None) -> dict[str, QueuedJob]:
    """This user's jobs in the queue by job id, array tasks one by one; one ``squeue`` call.

    Args:
        name: only jobs of this name.
        comment: only jobs whose comment begins with this (compared within SLURM's first 512 bytes).

    Raises:
        LaunchError: squeue does not answer; includes its own message.
    """
    columns = ",".join(f"{column}:{width}" for column, width in _COLUMNS.items())
    try:
        answer = _client(["squeue", "--me", "--array", "--noheader", f"--Format={columns}"])
    except _NoAnswer as error:
        raise LaunchError(f"squeue does not answer ({error}); the jobs continue") from None
    jobs = parse_queue(answer)
    return {
        job.id: job
        for job in jobs
        if (name is None or job.name == name) and (comment is None or job.comment.startswith(comment))
    }


def ended(job_ids: Iterable[str]) -> Accounting:
    """How these jobs ended (``123_4`` or ``123``, which is every task of that array); one ``sacct`` call, or none."""
    arrays = sorted({job.partition("_")[0] for job in job_ids})
    if not arrays:
        return Accounting()
    fields = "--format=JobID,State,ExitCode,NodeList"
    try:
        answer = _client(
            ["sacct", "--allocations", "--noheader", "--parsable2", fields, "-j", ",".join(arrays)]
        )
    except _NoAnswer:
        return Accounting(is_there=False)
    return Accounting({job.id: job for job in parse_accounts(answer)})


def parse_queue(answer: bytes) -> list[QueuedJob]:
    """The jobs in squeue's answer; a line that is not a job (after a line break in a comment) is skipped."""
    jobs = []
    for line in answer.split(b"\n"):
        fields: dict[str, str] = {}
        start = 0
        for column, width in _COLUMNS.items():
            fields[column] = line[start : start + width].decode(errors="replace").strip()
            start += width
        if not _JOB_ID.fullmatch(fields["JobArrayID"]) or not fields["State"].replace("_", "").isupper():
            continue
        jobs.append(
            QueuedJob(
                id=fields["JobArrayID"],
                state=fields["State"],
                reason=_value_or_empty(fields["Reason"], "None"),
                node=_value_or_empty(fields["NodeList"]),
                time_left=_value_or_empty(fields["TimeLeft"], "UNLIMITED", "INVALID", "NOT_SET"),
                restarts=int(fields["RestartCnt"]) if fields["RestartCnt"].isdigit() else 0,
                name=fields["Name"],
                comment=_value_or_empty(fields["Comment"]),
            )
        )
    return jobs


def parse_accounts(answer: bytes) -> list[EndedJob]:
    """The jobs in sacct's answer that have ended."""
    jobs = []
    for line in answer.decode(errors="replace").splitlines():
        job, _, rest = line.partition("|")
        parts = rest.split("|", 2)
        if not _JOB_ID.fullmatch(job) or len(parts) < 3:
            continue
        state, exit_code, node = parts
        word, _, by = state.partition(" by ")
        if not word or word in _NOT_ENDED:
            continue
        status, _, number = exit_code.partition(":")
        jobs.append(
            EndedJob(
                id=job,
                state=word,
                exit_code=int(status or 0),
                signal=int(number or 0),
                node=_value_or_empty(node, "None assigned"),
                cancelled_by=int(by) if by.isdigit() else None,
            )
        )
    return jobs


def cancel(job_ids: Sequence[str]) -> None:
    """Cancel these jobs; those that have already ended are not an error. One ``scancel`` call.

    Raises:
        LaunchError: scancel failed; includes its own message.
    """
    if not job_ids:
        return
    try:
        _client(["scancel", "--quiet", *job_ids])
    except _NoAnswer as error:
        raise LaunchError(f"scancel did not cancel the jobs ({error})") from None


class _NoAnswer(Exception):
    """A client failed or did not answer; the text is its message."""


def _client(command: list[str]) -> bytes:
    # SQUEUE_PARTITION, SACCT_FORMAT and the like could hide jobs, which would then be submitted again.
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("SQUEUE_", "SACCT_", "SCANCEL_"))
    }
    try:
        answer = subprocess.run(
            command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, timeout=CLIENT_TIMEOUT_S
        )
    except FileNotFoundError:
        raise _NoAnswer(f"{command[0]} is not installed on this machine") from None
    except subprocess.TimeoutExpired:
        raise _NoAnswer(f"no answer in {CLIENT_TIMEOUT_S:.0f} s") from None
    if answer.returncode != 0:
        lines = answer.stderr.decode(errors="replace").strip().splitlines()
        raise _NoAnswer(
            lines[-1].removeprefix(f"{command[0]}: ").removeprefix("error: ") if lines else "no answer"
        )
    return answer.stdout


def _value_or_empty(word: str, *empty: str) -> str:
    return "" if word in ("(null)", "n/a", "N/A", *empty) else word
