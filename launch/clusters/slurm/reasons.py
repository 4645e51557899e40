"""Why a job waits and how it ended: SLURM's own code, with a sentence for those that are met often.

``man squeue`` (JOB REASON CODES) and ``man sacct`` (JOB STATE CODES) explain all others.
"""

from __future__ import annotations

import pwd
import re
import signal as signals

_RELEASE = "'scontrol release' lets it go"
_REASONS = {
    "Priority": "other jobs come first",
    "Resources": "no free node at the moment",
    "Dependency": "waits for the jobs before it",
    "DependencyNeverSatisfied": "the job before it failed, so it will never start",
    "PartitionDown": "its partition is closed at the moment",
    "PartitionInactive": "its partition is closed at the moment",
    "PartitionNodeLimit": "more nodes than the partition allows",
    "PartitionTimeLimit": "the time limit is above the partition's",
    "NodeDown": "a node that it needs is down",
    "ReqNodeNotAvail": "a node that it needs is down or reserved",
    "Reservation": "waits for its reservation to begin",
    "BeginTime": "it was requeued and starts again in a moment",
    "JobArrayTaskLimit": "as many run at once as --max-parallel allows",
    "JobHeldUser": _RELEASE,
    "JobHeldAdmin": "held by an administrator",
    "JobHoldMaxRequeue": f"requeued too often; {_RELEASE}",
    "BadConstraints": "no node has what it asks for",
    "launch failed requeued held": f"it could not be started on its node; {_RELEASE}",
    "job requeued in held state": _RELEASE,
}
"""By SLURM's code, up to its first comma."""
_LIMIT = re.compile(r"(QOS|Assoc)\w*(Grp|Max|Min|Limit)\w*")
_OWNERS = {"QOS": "the QOS", "Assoc": "your account"}


def reason_words(reason: str) -> str:
    """Why a job waits: ``Priority (other jobs come first)``; only the code if there is no sentence for it."""
    sentence = _REASONS.get(reason.partition(",")[0])
    limit = _LIMIT.fullmatch(reason)
    if sentence is None and limit is not None:
        sentence = f"a limit of {_OWNERS[limit[1]]} is reached"
    return f"{reason} ({sentence})" if sentence else reason


def ended_words(state: str, exit_code: int, signal: int, node: str, cancelled_by: int | None) -> str:
    """How a job ended: ``TIMEOUT on n1 (--hours asks for more)``; empty if it succeeded."""
    match state:
        case "COMPLETED":
            return ""
        case "CANCELLED":
            return "CANCELLED" + (f" by {_user(cancelled_by)}" if cancelled_by is not None else "")
        case "TIMEOUT":
            sentence = "--hours asks for more"
        case "OUT_OF_MEMORY":
            sentence = "--memory-gb asks for more"
        case "PREEMPTED":
            sentence = "a job of higher priority took its place"
        case "FAILED":
            sentence = _exit(exit_code, signal)
        case _:
            sentence = ""
    return state + (f" on {node}" if node else "") + (f" ({sentence})" if sentence else "")


def _exit(exit_code: int, signal: int) -> str:
    number = signal or (exit_code - 128 if 128 < exit_code < 128 + signals.NSIG else 0)
    if not number:
        return f"exit status {exit_code}"
    try:
        name = signals.Signals(number).name
    except ValueError:
        name = f"signal {number}"
    return name + (", often out of memory" if number == signals.SIGKILL else "")


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
