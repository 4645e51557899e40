"""Which launchers run cells of a sweep on this machine: each announces itself in the sweep's folder."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from data_prep.files import atomic_write
from launch.clusters.backend import jobs_folder

_CLOCKS_DIFFER_S = 2.0
"""The system computes a process's start from the time since boot, which moves when the clock is set."""


@dataclass(frozen=True, slots=True)
class Launcher:
    """A process that runs cells of a sweep with ``--cluster local`` or ``debug``."""

    host: str
    pid: int
    started: float
    """When the process started, in seconds since 1970: a later process may have the same number."""

    def process(self) -> psutil.Process | None:
        """The process, if it is alive and on this machine."""
        if self.host != socket.gethostname():
            return None
        with suppress(psutil.Error):
            process = psutil.Process(self.pid)
            if (
                abs(process.create_time() - self.started) < _CLOCKS_DIFFER_S
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                return process
        return None


@contextmanager
def announced(sweep: Path) -> Iterator[None]:
    """Have this process found by ``launchers`` while the block runs."""
    own = Launcher(socket.gethostname(), os.getpid(), psutil.Process().create_time())
    file = jobs_folder(sweep) / f"launcher-{own.host}-{own.pid}.json"
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with atomic_write(file) as opened:
        opened.write(json.dumps(asdict(own)).encode())
    try:
        yield
    finally:
        with suppress(OSError):
            file.unlink(missing_ok=True)


def launchers(sweep: Path) -> list[Launcher]:
    """The launchers that announced themselves and are alive, or on another host, where that is not known."""
    found = []
    for file in sorted(jobs_folder(sweep).glob("launcher-*.json")):
        try:
            launcher = Launcher(**json.loads(file.read_bytes()))
        except (OSError, ValueError, TypeError):
            continue
        if launcher.host != socket.gethostname() or launcher.process() is not None:
            found.append(launcher)
        else:  # it was killed
            with suppress(OSError):
                file.unlink(missing_ok=True)
    return found
