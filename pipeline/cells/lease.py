"""The lease of a cell: ``lease.json`` names the attempt that may write there.

A lock that the system releases when its holder dies (``flock``) shows quickly whether the cell is in use. It cannot be the
only test: a node whose ``slurmd`` dies keeps running its tasks while SLURM restarts the job elsewhere. The copy that
SLURM started last is the one that counts. It writes its name into the lease; the older one reads this before each write,
and ends because it is no longer the owner.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from data_prep.errors import LeaseLost, RunError
from data_prep.files import atomic_write
from data_prep.lock import try_lock
from pipeline.cells.attempt import Attempt

LEASE_FILE = "lease.json"
LOCK_FILE = "lock"

SECONDS_FOR_A_WRITE_UNDER_WAY = 1.0
"""How long a copy that takes over waits, so that a write in progress by the older one finishes before any read."""

_SECONDS_TO_GET_THE_LOCK = 2.0
"""A process that only checks (``is_running``) holds the lock for a moment."""


@dataclass(frozen=True, slots=True)
class Holder:
    """The content of ``lease.json``."""

    attempt: Attempt
    unit: str
    """``train`` or ``evaluate``."""
    since: str
    """When it took the lease, ISO 8601 in UTC."""
    until: str | None = None
    """When it released the lease; None while it is running, and if it was killed."""

    @classmethod
    def read(cls, folder: Path) -> Holder | None:
        """The last holder of a cell's lease; None if there was none, or if the file is damaged."""
        try:
            said = json.loads((folder / LEASE_FILE).read_bytes())
            attempt = Attempt(str(said["job"]), int(said["restart"]), str(said["host"]), int(said["pid"]))
            return cls(attempt, str(said["unit"]), str(said["since"]), said.get("until"))
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, folder: Path) -> None:
        """Write it to ``lease.json``."""
        said = asdict(self.attempt) | {"unit": self.unit, "since": self.since, "until": self.until}
        with atomic_write(folder / LEASE_FILE) as file:
            file.write(json.dumps(said).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Lease:
    """The right of one process to write into a cell's folder."""

    folder: Path
    holder: Holder

    def check(self) -> None:
        """Check, before each write, that this process still has the lease; LeaseLost if not."""
        now = Holder.read(self.folder)
        if now is None or now.attempt != self.holder.attempt:
            owner = "another process" if now is None else str(now.attempt)
            raise LeaseLost(
                f"{owner} has taken over {self.folder}; this copy ({self.holder.attempt}) ends and writes nothing more"
            )


@contextmanager
def hold_lease(
    folder: Path, attempt: Attempt, unit: str, seconds_to_settle: float = SECONDS_FOR_A_WRITE_UNDER_WAY
) -> Iterator[Lease]:
    """Hold a cell's lease while the block runs.

    Raises:
        RunError: another process is running the cell.
        LeaseLost: SLURM has restarted this job since, and the newer copy has or had the lease.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / LOCK_FILE).open("ab") as file:
        free, before = _lock(file, folder, attempt), Holder.read(folder)
        # Also if the lock is free: the newer copy may have ended by now, or the disk has no locks.
        if before is not None and attempt.is_older_copy_of(before.attempt):
            raise LeaseLost(
                f"{before.attempt} has taken over {folder}; this copy ({attempt}) is an older one, and ends"
            )
        takes_over = before is not None and before.attempt.is_older_copy_of(attempt)
        if not free and not takes_over:
            raise RunError(f"another process is running in {folder}; wait for it, or stop it first")
        lease = Lease(folder, Holder(attempt, unit, _now()))
        lease.holder.write(folder)
        # Also if the lock was free: it may not work across nodes.
        if takes_over and before is not None and before.until is None:
            time.sleep(seconds_to_settle)
        try:
            yield lease
        finally:
            with suppress(LeaseLost, OSError):  # the final entry is only informative
                lease.check()
                replace(lease.holder, until=_now()).write(folder)


def no_guard() -> None:
    """In place of ``Lease.check``, for a folder that no other process can be using."""


def superseded(folder: Path, attempt: Attempt) -> bool:
    """Whether another attempt has the lease: a newer copy of this job, or a live process of another job."""
    holder = Holder.read(folder)
    if holder is None or holder.attempt.is_same_start_as(attempt):
        return False
    if attempt.is_older_copy_of(holder.attempt):
        return True
    if holder.attempt.is_older_copy_of(attempt):
        return False
    return holder.until is None and is_running(folder)


def forget(folder: Path) -> None:
    """Remove from the lease a job that SLURM no longer has, before another is submitted.

    A reinstalled SLURM numbers its jobs from 1 again, and a new job must not be mistaken for an older copy of the former.
    A copy that is still alive somewhere notices.
    """
    holder = Holder.read(folder)
    if holder is not None and holder.attempt.job and not is_running(folder):
        (folder / LEASE_FILE).unlink(missing_ok=True)


def is_running(folder: Path) -> bool:
    """Whether a live process holds the cell's lock (False on a file system without locks)."""
    try:
        with (folder / LOCK_FILE).open("rb") as file:
            return not try_lock(file)
    except FileNotFoundError:
        return False


def _lock(file: BinaryIO, folder: Path, attempt: Attempt) -> bool:
    """Whether the lock was acquired, at once or (unless an older copy holds it) within a moment."""
    deadline = time.monotonic() + _SECONDS_TO_GET_THE_LOCK
    while not try_lock(file):
        holder = Holder.read(folder)
        if holder is not None and holder.attempt.is_older_copy_of(attempt):
            return False
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
