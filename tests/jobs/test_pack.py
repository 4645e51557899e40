"""Three cells of one job that share its CPUs: one is killed, one diverges, and the job is requeued; real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import epilogue, pack
from jobs.mps import note_mps, noted_mps
from jobs.outcome import attempts
from jobs.pack import has_left, member_environment, output_file, settled, threads_of_each
from jobs.train import train_cell
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CANCELLED, CellFolder
from pipeline.cells.lease import Holder
from tests.done_cells import make_done
from tests.pipeline.runs import assert_bitwise_equal, final_parameters, small_cell, small_run
from tests.waiting import wait_for

PACK = """
import sys
from pathlib import Path
from jobs.pack import run_pack
run_pack("train", tuple(map(Path, sys.argv[2:])), 3, int(sys.argv[1]))
"""
JOB = {"SLURM_JOB_ID": "14", "SLURM_ARRAY_JOB_ID": "12", "SLURM_ARRAY_TASK_ID": "0"}
NO_JOB = Attempt("", 0, "here", 1)


def start(cells: list[Cell], restart: int, retries: int = 2) -> subprocess.Popen[bytes]:
    """One start of job 12_0, on three CPUs of which each cell gets one."""
    variables = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    variables |= JOB | {"SLURM_RESTART_COUNT": str(restart), "SLURM_CPUS_PER_TASK": "3"}
    command = [sys.executable, "-c", PACK, str(retries), *(str(cell.config_file) for cell in cells)]
    with (cells[0].folder.parent / f"start{restart}.txt").open("wb") as output:
        return subprocess.Popen(command, env=variables, stdout=output, stderr=output)


def holder(cell: Cell, former: int = 0) -> int:
    """The process that holds the lease of a cell, once it is another than ``former``."""

    def found() -> bool:
        now = Holder.read(cell.folder)
        return now is not None and now.until is None and now.attempt.pid != former

    wait_for(found, 240)
    now = Holder.read(cell.folder)
    assert now is not None
    return now.attempt.pid


def wait_for_checkpoint(cell: Cell) -> None:
    wait_for(lambda: list(cell.checkpoints.glob("*.json")), 240)


def after(monkeypatch: pytest.MonkeyPatch, folder: Path, cells: list[Cell], restart: int) -> tuple[int, bool]:
    """Exit status of the batch script's last part, and whether the job was requeued."""
    calls: list[str] = []

    def scontrol(command: list[str]) -> str:
        calls.append(command[1])
        return f"JobState=RUNNING Restarts={restart}"

    for name, value in (JOB | {"SLURM_RESTART_COUNT": str(restart)}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(epilogue, "_ask_slurm", scontrol)
    monkeypatch.setattr(epilogue, "SECONDS_TO_BE_REQUEUED", 0.0)
    units = folder / "units.json"
    units.write_text(json.dumps([{"unit": "train", "configs": [str(cell.config_file) for cell in cells]}]))
    with pytest.raises(SystemExit) as end:
        epilogue.main(["--units", str(units), "--status", "0", "--retries", "2"])
    return int(end.value.code or 0), "requeue" in calls


@pytest.mark.slow(50)
def test_one_is_killed_one_diverges_and_a_requeue_takes_up_those_that_are_not_trained(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    long = small_run(tiny_data_set, epochs=30, log_every_steps=7)
    diverging = replace(long, optimiser=replace(long.optimiser, learning_rate=1e18), seed=1)
    short = small_run(tiny_data_set, epochs=2, system="m2")
    cells = [small_cell(tmp_path, config) for config in (long, diverging, short)]
    killed, bad, soon = cells
    pack_process = start(cells, 0)
    first = holder(killed)
    wait_for_checkpoint(killed)
    os.kill(first, signal.SIGKILL)
    holder(killed, first)  # it is started again while the job and the others continue
    wait_for(lambda: bad.failed() is not None and soon.is_trained(), 240)
    assert pack_process.poll() is None
    pack_process.send_signal(signal.SIGUSR2)
    assert pack_process.wait(timeout=240) == 0, (tmp_path / "start0.txt").read_text()
    assert [entry["ended"] for entry in attempts(killed)] == ["crashed"]
    assert [entry["ended"] for entry in attempts(bad)] == ["failed"]
    assert (bad.failed() or "").startswith("the objective is ")
    assert after(monkeypatch, tmp_path, cells, 0) == (1, True)
    assert [entry["ended"] for entry in attempts(killed)] == ["crashed", "interrupted"]

    said = [output_file(cell, "train").read_bytes() for cell in (bad, soon)]
    assert start(cells, 1).wait(timeout=240) == 0, (tmp_path / "start1.txt").read_text()
    assert after(monkeypatch, tmp_path, cells, 1) == (0, False)
    assert said == [output_file(cell, "train").read_bytes() for cell in (bad, soon)]  # left as they were
    assert len(attempts_of(bad)) == 1
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for cell in (killed, soon):
        alone = small_cell(tmp_path / "alone", cell.config)
        train_cell(alone.config_file)
        assert_bitwise_equal(final_parameters(alone.checkpoints), final_parameters(cell.checkpoints))


def attempts_of(cell: CellFolder) -> list[object]:
    return list(attempts(cell))


@pytest.mark.slow
def test_a_cancelled_cell_stops_after_a_checkpoint_and_the_others_continue(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cells = [
        small_cell(tmp_path, small_run(tiny_data_set, epochs=epochs, system="m2")) for epochs in (10**6, 2)
    ]
    cancelled, other = cells
    process = start(cells, 0)
    wait_for_checkpoint(cancelled)
    cancelled.note_attempt({"ended": CANCELLED, "jobs": ["12_0"]})
    assert process.wait(timeout=240) == 0, (tmp_path / "start0.txt").read_text()
    assert other.is_trained()
    assert "stopped after step" in cancelled.log_file("train", 0).read_text()
    assert after(monkeypatch, tmp_path, cells, 0) == (0, False)  # the next job measures the other one


def test_an_end_of_the_pack_ends_its_cells(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=10**6))
    process = start([cell], 0)
    member = holder(cell)
    process.kill()
    process.wait()
    wait_for(lambda: not Path(f"/proc/{member}").exists(), 60)


@pytest.fixture
def folder(tmp_path: Path) -> CellFolder:
    (tmp_path / "cell").mkdir()
    (tmp_path / "cell" / "config.json").write_text("{}")
    return CellFolder(tmp_path / "cell")


def test_what_needs_no_attempt_is_settled(folder: CellFolder):
    assert settled(folder, "train", NO_JOB) is None
    assert settled(folder, "evaluate", NO_JOB) == "leave"  # its training failed in another job
    folder.give_up("no")
    assert settled(folder, "train", NO_JOB) == "give_up"
    make_done(folder)
    assert settled(folder, "train", NO_JOB) == settled(folder, "evaluate", NO_JOB) == "done"


def test_a_cell_given_up_in_a_job_and_submitted_again_belongs_to_the_other_job(folder: CellFolder):
    folder.note_attempt({"job": "12_0", "ended": "failed"})
    folder.give_up("no")
    assert has_left(folder, "12_0")
    folder.reset_failure()
    assert has_left(folder, "12_0")
    assert not has_left(folder, "13_0")


def test_on_which_nodes_cells_share_a_gpu_with_mps_is_noted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_MPS_PIPE_DIRECTORY", str(tmp_path))
    for node, gpus in (("n1", "0"), ("n2", "")):
        monkeypatch.setenv("SLURMD_NODENAME", node)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", gpus)
        note_mps(tmp_path / "sweep")
    assert noted_mps(tmp_path / "sweep").startswith("CUDA's MPS does not run on n1 (nvidia-cuda-mps-control")
    (tmp_path / "control").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    note_mps(tmp_path / "sweep")
    assert noted_mps(tmp_path / "sweep").split("; ")[0].startswith("CUDA's MPS runs on n2: ")


@pytest.mark.parametrize(("given", "threads"), [(None, 2), ("5", 5), ("5,1", 5)])
def test_threads_are_an_equal_share_unless_they_are_given(
    monkeypatch: pytest.MonkeyPatch, given: str | None, threads: int
):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "8")
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    assert threads_of_each(4) == threads
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    assert threads_of_each(16) == 1


def test_a_cells_process_is_a_rank_of_its_own(monkeypatch: pytest.MonkeyPatch):
    variables = {"SUBMITIT_EXECUTOR": "slurm", "PATH": "/bin", "OMP_NUM_THREADS": "3"}
    own = member_environment(variables, 4)
    assert own.pop("OMP_WAIT_POLICY") == "passive"
    assert own == {"PATH": "/bin", "OMP_NUM_THREADS": "3", pack.CELLS_PER_GPU: "4"}
