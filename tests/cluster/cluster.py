"""A complete cluster: start it, find it again, use it, stop it."""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from data_prep.errors import LaunchError
from tests.cluster import daemons, processes, requirements
from tests.cluster.layout import Layout, check_folder

MAX_NODES = 500


def default_folder() -> Path:
    """The folder of ``make cluster-up``: always the same for a user."""
    return Path(tempfile.gettempdir()).resolve() / f"traitvae-cluster-{os.geteuid()}"


@dataclass(frozen=True)
class Cluster:
    """A cluster that is up."""

    layout: Layout

    @property
    def folder(self) -> Path:
        return self.layout.folder

    @property
    def conf(self) -> Path:
        return self.layout.conf

    @property
    def size(self) -> str:
        """For a sentence: "4 nodes with accounting"."""
        nodes = "1 node" if self.layout.nodes == 1 else f"{self.layout.nodes} nodes"
        return f"{nodes} {'with' if self.layout.accounting else 'without'} accounting"

    @property
    def env(self) -> dict[str, str]:
        """The environment to call SLURM's clients in: this process's own, a HOME, a PATH with them, SLURM_CONF."""
        mine = {"HOME": "/root", "PATH": requirements.PROGRAM_PATH} | os.environ
        return mine | {"SLURM_CONF": str(self.conf)}

    def run(
        self, command: Sequence[str], *, timeout_s: float = 60.0, cwd: Path | None = None
    ) -> subprocess.CompletedProcess[str]:
        """Run a client (``["sbatch", ...]``) on this cluster; the caller checks ``returncode``.

        Raises:
            subprocess.TimeoutExpired: it did not end in time (it is killed).
        """
        return subprocess.run(
            list(command),
            env=self.env,
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
            check=False,
        )

    def wait_idle(self, timeout_s: float = 90.0) -> None:
        """Return when no job is left and all nodes are idle.

        Raises:
            LaunchError: they are not in time; the sentence says what SLURM shows.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            nodes = self.run(["sinfo", "--noheader", "--Node", "--partition=main", "--format=%N %T %E"])
            jobs = self.run(["squeue", "--noheader", "--format=%i %T"])
            states = [line.split(maxsplit=2) for line in nodes.stdout.splitlines()]
            if (
                nodes.returncode == jobs.returncode == 0
                and not jobs.stdout.strip()
                and len(states) == self.layout.nodes
                and all(state[1] == "idle" for state in states)
            ):
                return
            if time.monotonic() > deadline:
                shown = "; ".join((nodes.stdout + nodes.stderr + jobs.stdout + jobs.stderr).splitlines()[:8])
                raise LaunchError(f"{self.folder}: the cluster is not idle after {timeout_s:.0f} s: {shown}")
            time.sleep(0.2)


def find(folder: Path) -> Cluster | None:
    """The cluster that is up in this folder, if one is."""
    layout = Layout.load(_absolute(folder))
    if layout is None or not layout.ready.exists():
        return None
    alive = any(process.name == "slurmctld" for process in processes.living(layout))
    return Cluster(layout) if alive else None


def up(folder: Path, *, nodes: int = 4, accounting: bool = True) -> Cluster:
    """Bring a cluster up in a folder that is empty, new, or has the remains of a cluster that was killed.

    One that is up already is returned as it is.

    Raises:
        LaunchError: another cluster is up there, the folder is not ours, or a daemon does not start.
        MissingDependencyError: Debian packages are missing.
    """
    if not 1 <= nodes <= MAX_NODES:
        raise LaunchError(f"a cluster has 1 to {MAX_NODES} nodes, not {nodes}")
    requirements.check(accounting=accounting)
    folder = _absolute(folder)
    check_folder(folder)
    with _own_folder(folder):
        running = find(folder)
        if running is not None:
            if (running.layout.nodes, running.layout.accounting) != (nodes, accounting):
                raise LaunchError(f"a SLURM of {running.size} is up in {folder}: take it down first")
            return running
        _clear(folder)
        layout = Layout.new(folder, nodes=nodes, accounting=accounting)
        layout.save()
        try:
            _start(layout)
        except BaseException:
            processes.end_all(layout)
            raise
        return Cluster(layout)


def down(folder: Path) -> bool:
    """Stop the cluster of this folder, end all its processes and remove the folder; False: there was none."""
    folder = _absolute(folder)
    if Layout.load(folder) is None:
        return False
    with _own_folder(folder):
        was_there = _clear(folder)
        folder.rmdir()
    return was_there


def _start(layout: Layout) -> None:
    daemons.write_files(layout)
    daemons.start_munge(layout)
    if layout.accounting:
        daemons.start_accounting(layout)
    daemons.start_controller(layout)
    daemons.start_nodes(layout)
    Cluster(layout).wait_idle(timeout_s=90.0 + layout.nodes)
    layout.ready.touch()


def _clear(folder: Path) -> bool:
    """End what lives of the folder's cluster, remove its files; the folder stays, empty. False: it was empty."""
    layout = Layout.load(folder)
    if layout is None:
        if any(folder.iterdir()):
            raise LaunchError(f"{folder} is not empty and is not a cluster's: choose another folder")
        return False
    processes.end_all(layout)
    for path in folder.iterdir():
        if path.name != "cluster.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    # Last: as long as it exists, an interrupted removal can be resumed.
    (folder / "cluster.json").unlink()
    return True


@contextmanager
def _own_folder(folder: Path) -> Iterator[None]:
    """Lock the folder, which is made if missing: two starts, or a start and a stop, are serialised."""
    while True:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.lstat()
        if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
            raise LaunchError(
                f"{folder} is not a folder that only this user can write to: choose another one"
            )
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            if folder.exists() and os.path.samestat(folder.lstat(), os.fstat(handle)):
                yield
                return
        finally:
            os.close(handle)


def _absolute(folder: Path) -> Path:
    return Path(os.path.abspath(folder))
