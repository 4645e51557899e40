"""What SLURM says of this user's jobs: one ``squeue`` call for those in the queue, one ``sacct`` call for the others."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from data_prep.errors import LaunchError
from launch.clusters.slurm.reasons import ended_words, reason_words

CLIENT_TIMEOUT_S = 60.0

# Fixed widths, because any separator may stand in a name or a comment; SLURM pads and cuts at bytes, not characters.
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
    """A job, or one task of an array, that SLURM has not forgotten."""

    id: str
    """``123``, or ``123_4`` for task 4 of the array 123."""
    state: str
    """SLURM's word: PENDING, RUNNING, COMPLETING, ..."""
    reason: str = ""
    """SLURM's word for why it does not run; empty where it runs."""
    node: str = ""
    """Where it runs, as SLURM writes it: ``n1`` or ``n[1-2]``."""
    time_left: str = ""
    """Until its time limit: ``1-02:03:04``, ``59:58``; empty where it has none."""
    restarts: int = 0
    """How often SLURM has started it again."""
    name: str = ""
    comment: str = ""

    @property
    def is_running(self) -> bool:
        """Whether it holds nodes: it runs, is being ended, or is suspended."""
        return self.state in _RUNNING

    @property
    def explanation(self) -> str:
        """Why it waits, in words; empty where it runs."""
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
    """SLURM's word: COMPLETED, FAILED, TIMEOUT, CANCELLED, ..."""
    exit_code: int = 0
    """Exit status of the batch script."""
    signal: int = 0
    """Number of the signal that ended the batch script; 0: none did."""
    node: str = ""
    elapsed_s: int = 0
    """Seconds that its last start ran."""
    cancelled_by: int | None = None
    """Number of the user who cancelled it."""

    @property
    def explanation(self) -> str:
        """How it ended, in words; empty where it ended well."""
        return ended_words(
            self.state, self.exit_code, self.signal, self.node, self.elapsed_s, self.cancelled_by
        )


@dataclass(frozen=True, slots=True)
class Accounting:
    """What ``sacct`` knows."""

    jobs: Mapping[str, EndedJob] = field(default_factory=dict)
    """By job id; jobs that run or wait are not among them."""
    is_there: bool = True
    """False where the cluster keeps no accounts, or does not answer: then nothing is known of jobs that are gone."""


def queued(*, name: str | None = None, comment: str | None = None) -> dict[str, QueuedJob]:
    """This user's jobs in the queue by job id, array tasks one by one; one ``squeue`` call.

    Args:
        name: only jobs of this name.
        comment: only jobs whose comment begins with this (compared within SLURM's first 512 bytes).

    Raises:
        LaunchError: squeue does not answer; the sentence has its own words.
    """
    columns = ",".join(f"{column}:{width}" for column, width in _COLUMNS.items())
    try:
        answer = _client(["squeue", "--me", "--array", "--noheader", f"--Format={columns}"])
    except _NoAnswer as error:
        raise LaunchError(f"squeue does not answer ({error}); the jobs go on by themselves") from None
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
    fields = "--format=JobID,State,ExitCode,ElapsedRaw,NodeList"
    try:
        answer = _client(
            ["sacct", "--allocations", "--noheader", "--parsable2", fields, "-j", ",".join(arrays)]
        )
    except _NoAnswer:
        return Accounting(is_there=False)
    return Accounting({job.id: job for job in parse_accounts(answer)})


def parse_queue(answer: bytes) -> list[QueuedJob]:
    """The jobs in squeue's answer; a line that is no job's (a comment of somebody's holds a line break) is passed over."""
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
        parts = rest.split("|", 3)
        if not _JOB_ID.fullmatch(job) or len(parts) < 4:
            continue
        state, exit_code, elapsed, node = parts
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
                elapsed_s=int(elapsed or 0),
                cancelled_by=int(by) if by.isdigit() else None,
            )
        )
    return jobs


def cancel(job_ids: Sequence[str]) -> None:
    """Ask SLURM to end these jobs; those that have ended already are no error. One ``scancel`` call.

    Raises:
        LaunchError: scancel could not do it; the sentence has its own words.
    """
    if not job_ids:
        return
    try:
        _client(["scancel", "--quiet", *job_ids])
    except _NoAnswer as error:
        raise LaunchError(f"scancel did not end the jobs ({error})") from None


class _NoAnswer(Exception):
    """A client gave no answer; the text is what it said instead."""


def _client(command: list[str]) -> bytes:
    # SQUEUE_PARTITION, SACCT_FORMAT and their like would hide jobs from us, and we would submit them again.
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
        raise _NoAnswer(f"there is no {command[0]} on this machine") from None
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
