"""Finding the live processes of a cluster by their namespace, and ending them."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import LaunchError
from tests.cluster.layout import Layout

_GRACE_S = 1.5
"""Between the request to end and the end."""


@dataclass(frozen=True)
class Process:
    pid: int
    name: str


def living(layout: Layout) -> list[Process]:
    """Daemons, steps and tasks of this cluster, also those that outlived the daemon that started them.

    Each lives in a mount namespace in which ``/etc/hosts`` is this cluster's hosts file, and so does whatever it
    starts. Processes that ended but that nobody has waited for (state Z) have no namespace, and are not listed.
    """
    found = []
    verdicts: dict[str, bool] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid() and _is_of(layout, entry, verdicts):
            try:
                found.append(Process(int(entry.name), (entry / "comm").read_text().strip()))
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has ended meanwhile
    return found


def _is_of(layout: Layout, process: Path, verdicts: dict[str, bool]) -> bool:
    """Whether a thread of ``/proc/PID`` lives in a namespace of the cluster; ``verdicts`` has those seen before.

    The first thread is not enough: it can have ended, and left the namespace, before the others.
    """
    for thread in _first_then_others(process):
        try:
            namespace = os.readlink(thread / "ns" / "mnt")
            if namespace not in verdicts:
                verdicts[namespace] = layout.hosts.name in (thread / "mountinfo").read_text()
            return verdicts[namespace]
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or even root may not read it (a container's first process)
        except OSError as error:
            if error.errno != errno.EINVAL:  # it left the namespace between two checks
                raise
    return False


def _first_then_others(process: Path) -> Iterator[Path]:
    yield process
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        yield from (process / "task").iterdir()


def end_all(layout: Layout) -> list[Process]:
    """End every process of the cluster, first gracefully; returns those that existed.

    Raises:
        LaunchError: a process is still there after it was killed (it hangs in the kernel).
    """
    there = living(layout)
    _send(there, signal.SIGTERM)
    left = _wait_until_gone(layout, _GRACE_S)
    deadline = time.monotonic() + 60
    while left and time.monotonic() < deadline:
        _send(left, signal.SIGKILL)
        left = _wait_until_gone(layout, 0.2)
    if left:
        names = ", ".join(f"{process.name} ({process.pid})" for process in left)
        raise LaunchError(f"these processes of the cluster do not end: {names}")
    return there


def _send(processes: list[Process], number: signal.Signals) -> None:
    for process in processes:
        try:
            os.kill(process.pid, number)
        except ProcessLookupError:
            continue


def _wait_until_gone(layout: Layout, seconds: float) -> list[Process]:
    deadline = time.monotonic() + seconds
    while (left := living(layout)) and time.monotonic() < deadline:
        time.sleep(0.02)
    return left
