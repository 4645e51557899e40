"""SLURM's words for why a job waits and how it ended, in words for people."""

from __future__ import annotations

import pwd
import re
import signal as signals

REASONS = {
    "": "",
    "Priority": "other jobs come first",
    "WaitingForScheduling": "the scheduler has not looked at it yet",
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
    "ReservationDeleted": "its reservation was removed",
    "BeginTime": "it was put back and starts again in a moment",
    "JobArrayTaskLimit": "as many run at once as --max-parallel allows",
    "JobHeldUser": "held by its owner; 'scontrol release' lets it go",
    "JobHeldAdmin": "held by an administrator",
    "JobHoldMaxRequeue": "held, because it was put back too often; 'scontrol release' lets it go",
    "Licenses": "waits for a licence",
    "BadConstraints": "no node has what it asks for (constraint, memory or GPUs)",
    "InvalidAccount": "its account is not known to this cluster",
    "InvalidQOS": "its QOS is not known to this cluster",
    "AccountNotAllowed": "its account may not use this partition",
    "QOSNotAllowed": "its QOS may not be used in this partition",
    "QOSUsageThreshold": "its QOS has used up its share",
    "TimeLimit": "it ran into its time limit",
    "Cleaning": "its last start is still being cleaned up",
    "Prolog": "the node is being made ready",
    "SchedDefer": "the scheduler looks at it in its next round",
    "SystemFailure": "SLURM itself failed to start it",
    "JobLaunchFailure": "it could not be started on its node",
    "RaisedSignal": "ended by a signal",
    "NonZeroExitCode": "its last start failed",
    "InactiveLimit": "ended for doing nothing",
    "DeadLine": "it cannot end before its deadline",
    "BurstBufferResources": "waits for the burst buffer",
    "BurstBufferStageIn": "its files are being copied to the burst buffer",
    "launch failed requeued held": "it could not be started on its node and is held; 'scontrol release' lets it try again",
    "job requeued in held state": "it was put back and is held; 'scontrol release' lets it go",
}
"""What a pending job waits for, by SLURM's word."""

_OWNERS = {
    "Assoc": "your account",
    "Association": "your account",
    "QOS": "the QOS",
    "WCKey": "the WCKey",
}
_LIMIT = re.compile(
    r"(?P<owner>QOS|Association|Assoc)(?P<scope>Grp|Max|Min)?(?P<what>[A-Za-z]*?)"
    r"(?P<per>PerUser|PerAccount|PerJob|PerNode|PU|PA|PJ)?(?P<limit>Limit)?"
)
_WHAT = {
    "Billing": "billing units",
    "BB": "burst buffer",
    "Cpu": "processors",
    "CPU": "processors",
    "CPUs": "processors",
    "GRES": "GPUs",
    "Gres": "GPUs",
    "Jobs": "jobs",
    "Job": "jobs",
    "SubmitJobs": "submitted jobs",
    "Submit": "submitted jobs",
    "Mem": "memory",
    "Memory": "memory",
    "Node": "nodes",
    "Nodes": "nodes",
    "Wall": "running time",
    "WallDuration": "running time",
    "Time": "running time",
    "Energy": "energy",
    "License": "licences",
    "Resource": "resources",
}
_PER = {
    "PerUser": "per user",
    "PU": "per user",
    "PerAccount": "per account",
    "PA": "per account",
    "PerJob": "per job",
    "PJ": "per job",
    "PerNode": "per node",
}


def reason_words(reason: str) -> str:
    """Why a job waits, in words; SLURM's own where they are not known."""
    word, _, rest = reason.partition(",")
    if reason in REASONS:
        return REASONS[reason]
    if word in REASONS and word:
        unavailable = re.search(r"UnavailableNodes:(\S+)", rest)
        return REASONS[word] + (f" ({unavailable[1]})" if unavailable else "")
    if reason.startswith("Nodes required for job are DOWN"):
        return "the nodes that it needs are down, drained or reserved for other jobs"
    if reason.startswith("launch failed"):
        return REASONS["launch failed requeued held"]
    limit = _LIMIT.fullmatch(reason)
    if limit is not None and (limit["limit"] or limit["scope"]):
        return _limit_words(limit)
    return reason


def _limit_words(limit: re.Match[str]) -> str:
    owner = _OWNERS[limit["owner"]]
    what = limit["what"].removesuffix("NotSatisfied")
    minutes = "minutes of " if what.endswith("Minutes") else ""
    what = what.removesuffix("Minutes").removesuffix("Run")
    counted = minutes + _WHAT.get(what, what or "resources")
    per = f" {_PER[limit['per']]}" if limit["per"] else ""
    if limit["scope"] == "Min":
        return f"it asks for less than {owner}'s least of {counted}{per}"
    return f"{owner}'s limit of {counted}{per} is reached"


def ended_words(
    state: str, exit_code: int, signal: int, node: str, elapsed_s: int, cancelled_by: int | None
) -> str:
    """How a job ended, in words; empty where it ended well. SLURM's own word where it is not known."""
    where = f" on {node}" if node else ""
    match state:
        case "COMPLETED":
            return ""
        case "TIMEOUT":
            return f"ran into its time limit after {_duration(elapsed_s)}{where}; --hours asks for more"
        case "OUT_OF_MEMORY":
            return f"needed more memory than it had asked for{where}; --memory-gb asks for more"
        case "NODE_FAIL":
            return f"its node {node} failed" if node else "its node failed"
        case "BOOT_FAIL":
            return f"its node {node} did not start" if node else "its node did not start"
        case "PREEMPTED":
            return f"had to give way to a job of higher priority{where}"
        case "DEADLINE":
            return "could not end before its deadline"
        case "REVOKED":
            return "another cluster took it over"
        case "CANCELLED":
            return f"cancelled by {_user(cancelled_by)}" if cancelled_by is not None else "cancelled"
        case "FAILED":
            return _failed(exit_code, signal) + where
    return state.lower().replace("_", " ") + where


def _failed(exit_code: int, signal: int) -> str:
    number = signal or (exit_code - 128 if 128 < exit_code < 128 + signals.NSIG else 0)
    if number:
        try:
            name = signals.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"killed by {name}" + (" (often for want of memory)" if number == signals.SIGKILL else "")
    return f"ended with exit status {exit_code}"


def _user(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}"
