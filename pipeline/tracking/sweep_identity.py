"""``sweep.json`` in a sweep's folder: which sweep it is in a store that several people and folders share.

A name is not enough: two people may run one recipe with one store, each with their own code. A folder that was moved keeps
its sweep; a copy of one that is still there is another sweep, with MLflow runs of its own.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import uuid
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from data_prep.errors import TrackingError
from data_prep.files import atomic_write

SWEEP_FILE = "sweep.json"


@dataclass(frozen=True, kw_only=True, slots=True)
class SweepIdentity:
    """A sweep, with who launched it last, and where."""

    id: str
    """Random hex characters, made at the first launch."""
    user: str
    host: str
    folder: str
    """The sweep's folder, absolute."""
    experiment: str
    """MLflow experiment that holds its runs."""

    @classmethod
    def read(cls, sweep: Path) -> SweepIdentity | None:
        """The sweep of a folder, as it is now: under another id than the file's if the folder is a copy.

        None if the folder was never launched, or by a version without identities.

        Raises:
            TrackingError: the file is damaged.
        """
        sweep = sweep.absolute()
        recorded = _recorded(sweep)
        if recorded is None or recorded.folder == str(sweep):
            return recorded
        if _is_copy(recorded, sweep):
            # Each of its processes arrives at the same id, without writing anything.
            copy = uuid.uuid5(uuid.NAMESPACE_URL, f"{recorded.id} {socket.gethostname()} {sweep}").hex
            recorded = replace(recorded, id=copy)
        return replace(recorded, folder=str(sweep))

    @property
    def place(self) -> dict[str, str]:
        """User, host and folder, as tags of the sweep's MLflow run."""
        return {"user": self.user, "host": self.host, "folder": self.folder}


def claim_sweep(sweep: Path, experiment: str | None = None) -> SweepIdentity:
    """The sweep of a folder that this user launches here; recorded in its ``sweep.json``. Call it under the sweep's lock.

    Args:
        sweep: the folder.
        experiment: MLflow experiment; None: that of the last launch, else ``traitvae``.

    Raises:
        TrackingError: the file is damaged.
    """
    sweep = sweep.absolute()
    known = SweepIdentity.read(sweep)
    claimed = SweepIdentity(
        id=uuid.uuid4().hex if known is None else known.id,
        user=_user(),
        host=socket.gethostname(),
        folder=str(sweep),
        experiment=experiment or ("traitvae" if known is None else known.experiment),
    )
    if claimed != _recorded(sweep):
        with atomic_write(sweep / SWEEP_FILE) as file:
            file.write(json.dumps(asdict(claimed), indent=1).encode() + b"\n")
    return claimed


def original_of(sweep: Path) -> SweepIdentity | None:
    """The sweep whose folder this one is a copy of, until it is launched; None if it is no copy."""
    recorded = _recorded(sweep.absolute())
    return recorded if recorded is not None and _is_copy(recorded, sweep.absolute()) else None


def _is_copy(recorded: SweepIdentity, sweep: Path) -> bool:
    original = Path(recorded.folder)
    if original == sweep or not original.is_dir() or original.samefile(sweep):
        return False
    try:
        there = _recorded(original)
    except TrackingError:
        return False
    return there is not None and there.id == recorded.id


def _recorded(sweep: Path) -> SweepIdentity | None:
    file = sweep / SWEEP_FILE
    try:
        return SweepIdentity(**json.loads(file.read_bytes()))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, TypeError):
        raise TrackingError(
            f"{file} cannot be read: restore it, or remove it, which makes new MLflow runs for the sweep's cells"
        ) from None


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without an entry for this user
        return str(os.getuid())
