"""``python -m tests.cluster`` on the command line; it leaves nothing when it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from tests.cluster import cluster as clusters
from tests.cluster import processes
from tests.cluster.cluster import Cluster

pytestmark = [pytest.mark.slurm, pytest.mark.usefixtures("slurm_installed")]

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder(short_folder: Path) -> Iterator[Path]:
    folder = short_folder / "cluster"
    yield folder
    clusters.down(folder)


def call(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.cluster", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=180,
    )


def up(folder: Path) -> subprocess.CompletedProcess[str]:
    return call("up", f"--folder={folder}", "--nodes=1", "--no-accounting")


def mentions(folder: Path) -> list[str]:
    """Live processes with the folder in their arguments or environment: a check that shares no code with ``down``."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            text = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # not a process, or one that has just ended
            continue
        if str(folder).encode() in text:
            found.append(text.replace(b"\0", b" ").decode(errors="replace"))
    return found


def test_up_prints_commands_and_the_shell_reaches_the_cluster(folder: Path) -> None:
    started = up(folder)
    assert started.returncode == 0, started.stderr
    typed = next(line for line in started.stdout.splitlines() if "export SLURM_CONF=" in line)
    srun = subprocess.run(
        ["sh", "-c", f"{typed}; srun hostname"], capture_output=True, text=True, timeout=120, check=True
    )
    assert srun.stdout == "n1\n"
    shell = subprocess.run(
        [sys.executable, "-m", "tests.cluster", "shell", f"--folder={folder}"],
        cwd=ROOT,
        env=os.environ | {"SHELL": "/bin/sh"},
        input="srun hostname; exit\n",
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert "n1" in shell.stdout.splitlines()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_second_up_leaves_the_cluster_as_it_is(folder: Path) -> None:
    assert "Up in" in up(folder).stdout
    before = mentions(folder)
    again = up(folder)
    assert again.returncode == 0
    assert "up already" in again.stdout
    assert mentions(folder) == before
    larger = call("up", f"--folder={folder}", "--nodes=2", "--no-accounting")
    assert larger.returncode == 2
    assert "take it down first" in larger.stderr
    assert "main" in call("status", f"--folder={folder}").stdout


def test_down_ends_also_a_job_that_refuses_to_end(folder: Path, tmp_path: Path) -> None:
    up(folder)
    cluster = clusters.find(folder)
    assert cluster is not None
    stays = start_stubborn_process(cluster, tmp_path)
    ended = call("down", f"--folder={folder}")
    assert ended.returncode == 0, ended.stderr
    assert "is down" in ended.stdout
    assert not folder.exists()
    assert mentions(folder) == []
    assert not is_alive(stays)


def test_down_without_a_cluster_is_no_error(folder: Path) -> None:
    done = call("down", f"--folder={folder}")
    assert (done.returncode, done.stderr) == (0, "")
    assert call("status", f"--folder={folder}").returncode == 1


def test_remains_of_a_killed_cluster_are_cleared_by_the_next_up(folder: Path, tmp_path: Path) -> None:
    up(folder)
    cluster = clusters.find(folder)
    assert cluster is not None
    orphan = start_stubborn_process(cluster, tmp_path)
    for process in processes.living(cluster.layout):
        if process.pid != orphan:
            os.kill(process.pid, signal.SIGKILL)
    assert "no cluster is up" in call("status", f"--folder={folder}").stdout
    started = up(folder)
    assert started.returncode == 0, started.stderr
    assert "Up in" in started.stdout
    assert not is_alive(orphan)


def test_folder_of_something_else_is_left_alone(folder: Path) -> None:
    folder.mkdir()
    (folder / "mine.txt").write_text("precious")
    refused = up(folder)
    assert refused.returncode == 2
    assert "is not a cluster's" in refused.stderr
    assert (folder / "mine.txt").read_text() == "precious"


def test_folder_that_slurm_cannot_name_is_refused(tmp_path: Path) -> None:
    refused = up(tmp_path / "a folder")
    assert refused.returncode == 2
    assert "a folder" in refused.stderr
    assert not (tmp_path / "a folder").exists()


def test_nothing_of_the_systems_own_slurm_and_mariadb_is_touched(folder: Path) -> None:
    before = changes_of_the_system()
    assert Path("/etc/munge") in before
    clusters.up(folder, nodes=1, accounting=True)
    clusters.down(folder)
    assert changes_of_the_system() == before


def test_failed_start_says_why_and_leaves_no_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.cluster.settings.slurm_conf", lambda layout: "Nonsense=1\n")
    with pytest.raises(LaunchError, match=r"slurmctld did not start: .*Nonsense"):
        clusters.up(folder, nodes=1, accounting=False)
    assert mentions(folder) == []


def changes_of_the_system() -> dict[Path, int]:
    """When the content, the owner or the rights of the system's own files last changed, in nanoseconds."""
    roots = [
        Path(above, name)
        for above in ("/etc", "/run", "/usr/lib", "/var/cache", "/var/lib", "/var/log", "/var/spool")
        for name in ("mariadb", "munge", "mysql", "mysqld", "slurm", "slurmctld", "slurmd")
    ]
    files = [path for root in roots if root.exists() for path in (root, *root.rglob("*"))]
    return {path: path.lstat().st_ctime_ns for path in files}


def start_stubborn_process(cluster: Cluster, folder: Path) -> int:
    """A process started by a running job, in its own session and ignoring SIGTERM; returns its id."""
    script = folder / "stubborn.sh"
    script.write_text(
        f"#!/bin/sh\ntrap '' TERM HUP\ncd {folder}\necho $$ > pid.new\nmv pid.new pid\nsleep 300\n"
    )
    script.chmod(0o755)
    submitted = cluster.run(["sbatch", "--output=/dev/null", "--wrap", f"setsid {script} & sleep 300"])
    assert submitted.returncode == 0, submitted.stderr
    deadline = time.monotonic() + 120
    while not (folder / "pid").exists():
        assert time.monotonic() < deadline, "the job does not start"
        time.sleep(0.05)
    return int((folder / "pid").read_text())


def is_alive(pid: int) -> bool:
    try:
        return Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
