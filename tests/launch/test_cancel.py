"""Stopping what runs outside SLURM, found by launchers' announcements and cells' leases."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from launch.clusters.backend import State
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CellFolder
from pipeline.cells.lease import Holder, hold_lease, is_running
from tests.launch.local_runs import STOPPED
from tests.launch.monitoring.sweeps import NAME, make_cells, say
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def cells(runs: Path) -> list[CellFolder]:
    return make_cells(runs / NAME, 2)


@pytest.fixture
def launcher(cells: list[CellFolder]) -> Iterator[subprocess.Popen[bytes]]:
    """A launcher whose rank runs the first cell."""
    sweep, name = cells[0].folder.parent, cells[0].name
    command = [sys.executable, "-m", "tests.launch.local_runs", "launcher", str(sweep), name]
    process = subprocess.Popen(command, cwd=ROOT)
    wait_for(lambda: is_running(cells[0].folder) and Holder.read(cells[0].folder))
    ranks = psutil.Process(process.pid).children()
    yield process
    for rank in ranks:
        if rank.is_running():
            rank.kill()
    process.kill()
    process.wait()


def states(runs: Path) -> list[State]:
    return list(read_status(SweepFolder.named(NAME, runs)).states.values())


def pid_of(cell: CellFolder) -> int:
    holder = Holder.read(cell.folder)
    assert holder is not None
    return holder.attempt.pid


def test_a_local_sweep_is_shown_with_its_process_and_cancelled(runs, cells, launcher, capsys):
    training, waiting = states(runs)
    host = Attempt.here().host
    assert training == State("training", f"process {pid_of(cells[0])}", host)
    assert waiting == State("waiting", "waiting for other cells")
    assert say("cancel", NAME, runs=runs) == 0
    assert f"stopped on this machine: the launcher, process {launcher.pid};" in capsys.readouterr().out
    assert launcher.wait(timeout=60) == 0
    assert (cells[0].folder / STOPPED).is_file()
    assert [state.phase for state in states(runs)] == ["stopped", "stopped"]
    assert say("cancel", NAME, runs=runs) == 0
    assert f"nothing of the sweep {NAME} runs" in capsys.readouterr().out


def test_ranks_whose_launcher_was_killed_are_shown_and_stopped(runs, cells, launcher, capsys):
    launcher.kill()
    launcher.wait()
    rank = pid_of(cells[0])
    assert states(runs)[0].detail == f"process {rank}, without a launcher"
    assert say("cancel", NAME, runs=runs) == 0
    assert f"stopped on this machine: {cells[0].name}, process {rank};" in capsys.readouterr().out
    assert (cells[0].folder / STOPPED).is_file()
    assert not is_running(cells[0].folder)


def test_some_cells_are_cancelled_without_their_launcher(runs, cells, launcher, capsys):
    assert say("cancel", NAME, "seed0", runs=runs) == 0
    assert f"stopped on this machine: {cells[0].name}, process" in capsys.readouterr().out
    assert '"ended": "cancelled"' in cells[0].attempts_file.read_text()
    assert not cells[1].attempts_file.exists()


def test_a_run_on_another_host_is_reported_and_left_alone(runs, cells, capsys):
    with hold_lease(cells[0].folder, Attempt("", 0, "elsewhere", 1), "train"):
        assert say("cancel", NAME, runs=runs) == 1
    printed = capsys.readouterr().out
    assert f"not stopped, since they run on elsewhere: {cells[0].name}, process 1; run the same" in printed


def test_a_process_that_only_has_the_number_of_a_rank_is_left_alone(runs, cells, capsys):
    """The rank was in another container, say, or the machine was started again."""
    other = subprocess.Popen(["sleep", "60"])
    try:
        attempt = Attempt("", 0, Attempt.here().host, other.pid)
        with hold_lease(cells[0].folder, attempt, "train"):
            assert say("cancel", NAME, runs=runs) == 1
        assert f"process {other.pid} is not the one that runs it" in capsys.readouterr().out
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
