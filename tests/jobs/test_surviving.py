"""Copies of a job that are killed, stopped, or alive twice: real processes with SLURM's environment."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from jobs.evaluate import evaluate_cell
from jobs.outcome import Outcome, attempts, next_action
from jobs.train import train_cell
from pipeline.cell import Cell
from pipeline.cells.attempt import Attempt
from pipeline.cells.measurements import failures
from pipeline.tracking import read_points
from tests.pipeline.runs import assert_bitwise_equal, final_parameters, small_cell, small_run, start_ranks

JOB = "SLURM_JOB_ID"
RESTARTS = "SLURM_RESTART_COUNT"
BOUND = 250
UNIT = "import sys; from pathlib import Path; from jobs.run import run_unit; run_unit('train', Path(sys.argv[1]))"


def start(cell: Cell, restart: int, ranks: int = 1) -> subprocess.Popen[bytes]:
    """One start of job 12."""
    os.environ |= {JOB: "12", RESTARTS: str(restart)}
    try:
        if ranks > 1:
            return start_ranks(cell, ranks)
        with (cell.folder / f"start{restart}.txt").open("ab") as output:
            command = [sys.executable, "-c", UNIT, str(cell.config_file)]
            return subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    finally:
        del os.environ[JOB], os.environ[RESTARTS]


def copy(restart: int) -> Attempt:
    return Attempt("12", restart, "batch-host", 1)


def wait_for_checkpoints(cell: Cell, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + BOUND
    while len(list(cell.checkpoints.glob("*.json"))) < 2:
        assert time.monotonic() < deadline, "no checkpoint was written"
        assert process.poll() is None, "it ended before its second checkpoint"
        time.sleep(0.02)


def ranks_of(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    children = psutil.Process(process.pid).children()
    return sorted(
        (child for child in children if "jobs.train" in " ".join(child.cmdline())),
        key=lambda child: int(child.environ()["RANK"]),
    )


def records(cell: Cell) -> dict[tuple[str, int], dict[str, float]]:
    found: dict[tuple[str, int], dict[str, float]] = {}
    for point in read_points(cell.folder / "metrics.jsonl"):
        if point.kind != "system":
            assert (point.kind, point.step) not in found
            values = {name: value for name, value in point.metrics.items() if name != "images_per_second"}
            found[point.kind, point.step] = values
    return found


@pytest.mark.slow(30)
def test_the_older_of_two_live_copies_notices_and_stops_writing(tiny_data_set: Path, tmp_path: Path):
    config = small_run(tiny_data_set, epochs=20, log_every_steps=1, checkpoint_every_minutes=1e-9)
    whole, cell = (small_cell(tmp_path / name, config) for name in ("whole", "twice"))
    train_cell(whole.config_file)

    older = start(cell, 0)
    wait_for_checkpoints(cell, older)
    older.send_signal(
        signal.SIGSTOP
    )  # its node has lost its slurmd, and SLURM starts the job again elsewhere
    newer = start(cell, 1)
    deadline = time.monotonic() + BOUND
    while json.loads((cell.folder / "lease.json").read_bytes())["restart"] != 1:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    older.send_signal(signal.SIGCONT)
    assert older.wait(timeout=BOUND) == 2
    assert "has taken over" in (cell.folder / "start0.txt").read_text()
    assert next_action(cell, "train", copy(0), retries=2) == "done"
    assert not cell.attempts_file.exists()
    assert newer.wait(timeout=BOUND) == 0, (cell.folder / "start1.txt").read_text()
    assert next_action(cell, "train", copy(1), retries=2) == "done"
    assert_bitwise_equal(final_parameters(whole.checkpoints), final_parameters(cell.checkpoints))
    assert records(cell) == records(whole)


@pytest.mark.slow(40)
def test_two_ranks_that_are_asked_to_stop_write_their_outcome_and_resume_bit_for_bit(
    tiny_data_set: Path, tmp_path: Path
):
    config = small_run(tiny_data_set, epochs=25, ranks=2, log_every_steps=7)
    whole, cell = (small_cell(tmp_path / name, config) for name in ("whole", "stopped"))
    undisturbed = start(whole, 0, ranks=2)
    first = start(cell, 0, ranks=2)
    wait_for_checkpoints(cell, first)
    for rank in ranks_of(first):
        rank.send_signal(signal.SIGUSR2)
    assert first.wait(timeout=BOUND) == 0, (cell.folder / "ranks.txt").read_text()
    outcome = Outcome.read(cell.folder)
    assert outcome is not None
    assert (outcome.job, outcome.restart, outcome.outcome) == ("12", 0, "interrupted")
    assert outcome.step is not None
    assert outcome.sentence.startswith(f"stopped after step {outcome.step} of 300")
    assert next_action(cell, "train", copy(0), retries=0) == "again"
    assert [entry["step"] for entry in attempts(cell)] == [outcome.step]

    second = start(cell, 1, ranks=2)
    assert second.wait(timeout=BOUND) == 0, (cell.folder / "ranks.txt").read_text()
    assert undisturbed.wait(timeout=BOUND) == 0, (whole.folder / "ranks.txt").read_text()
    assert Outcome.read(cell.folder) is None
    assert next_action(cell, "train", copy(1), retries=0) == "done"
    assert_bitwise_equal(final_parameters(whole.checkpoints), final_parameters(cell.checkpoints))
    assert records(cell) == records(whole)  # each rank restored its own sums


@pytest.mark.slow(30)
def test_a_rank_that_hangs_ends_the_run_within_a_bound(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=100_000, ranks=2, hang_seconds=8.0))
    process = start(cell, 0, ranks=2)
    wait_for_checkpoints(cell, process)
    waits, hangs = ranks_of(process)
    hangs.send_signal(signal.SIGSTOP)
    psutil.wait_procs([waits], timeout=200)
    assert not waits.is_running() or waits.status() == psutil.STATUS_ZOMBIE
    hangs.kill()  # as srun does
    assert process.wait(timeout=BOUND) != 0
    assert next_action(cell, "train", copy(0), retries=1) == "again"
    (entry,) = attempts(cell)
    assert entry["ended"] == "crashed"
    log = cell.log_file("train", 0)
    assert entry["sentence"] == f"rank 0 made no step for 8 s (stacks in {log})"
    assert "loop.py" in log.read_text()


ONE_RANK_RAISES = """
import os, sys
from pathlib import Path
import torch
from jobs.run import run_unit
from pipeline.training import loop

def resume(self):
    if os.environ["RANK"] == "1":
        torch.zeros(3).view(2, 2)
    return progress(self)

progress, loop._Run._resume = loop._Run._resume, resume
run_unit("train", Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_what_one_rank_raises_is_the_reason_although_the_others_only_lose_it(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=1, ranks=2))
    script = tmp_path / "one_rank_raises.py"
    script.write_text(ONE_RANK_RAISES)
    monkeypatch.setenv(JOB, "12")
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    ended = subprocess.run(
        [*torchrun, str(script), str(cell.config_file)],
        env=os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(Path.cwd())},
        capture_output=True,
        timeout=BOUND,
    )
    assert ended.returncode != 0
    assert b"FutureWarning" not in ended.stderr
    assert next_action(cell, "train", copy(0), retries=2) == "give_up"
    sentence = "RuntimeError: shape '[2, 2]' is invalid for input of size 3 ("
    assert (cell.failed() or "").startswith(sentence)
    assert f"{script.parent.name}/{script.name}:" in (cell.failed() or "")
    assert "another rank of the run is gone" in cell.log_file("train", 0).read_text()


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_reported_by_all_ranks_and_given_up(tiny_data_set: Path, tmp_path: Path):
    config = small_run(tiny_data_set, epochs=30, ranks=2, log_every_steps=3)
    config = replace(config, optimiser=replace(config.optimiser, learning_rate=1e18))
    cell = small_cell(tmp_path, config)
    assert start(cell, 0, ranks=2).wait(timeout=BOUND) != 0
    outcome = Outcome.read(cell.folder)
    assert outcome is not None
    assert outcome.outcome == "failed"
    assert next_action(cell, "train", copy(0), retries=5) == "give_up"
    assert (cell.failed() or "").startswith("the objective is ")
    for rank in (0, 1):
        assert outcome.sentence in cell.log_file("train", rank).read_text()


@pytest.mark.slow
def test_a_stop_while_torch_is_imported_is_not_lost(tiny_data_set: Path, tmp_path: Path):
    cell = small_cell(tmp_path, small_run(tiny_data_set, epochs=100_000))
    process = start(cell, 0)
    deadline = time.monotonic() + BOUND
    mask = 1 << (signal.SIGUSR2 - 1)
    while not mask & int(status_of(process, "SigCgt"), 16):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGUSR2)
    assert process.wait(timeout=BOUND) == 0, (cell.folder / "start0.txt").read_text()
    assert "stopped before its first step" in (cell.folder / "start0.txt").read_text()
    assert next_action(cell, "train", copy(0), retries=0) == "again"


def status_of(process: subprocess.Popen[bytes], field: str) -> str:
    lines = Path(f"/proc/{process.pid}/status").read_text().splitlines()
    return next(line.split()[1] for line in lines if line.startswith(f"{field}:"))


HANGING = """
import sys, threading
from pathlib import Path
from jobs.run import run_unit
from pipeline.measures.likelihood import Likelihood

def hangs(measure, view):
    next(view.examples.images())
    threading.Event().wait()

Likelihood.__call__ = hangs
run_unit("evaluate", Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_measure_that_hangs_is_ended_within_a_bound_and_measured_again(
    tiny_data_set: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    patient = small_run(tiny_data_set, epochs=1)
    cell = small_cell(
        tmp_path, replace(patient, measures=replace(patient.measures, take=("likelihood",), hang_seconds=1.0))
    )
    monkeypatch.setenv(JOB, "13")
    train_cell(cell.config_file)
    command = [sys.executable, "-c", HANGING, str(cell.config_file)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=BOUND)
    assert ended.returncode == 1, ended.stderr
    attempt = Attempt("13", 0, "batch-host", 1)
    assert next_action(cell, "evaluate", attempt, retries=1) == "again"
    (entry,) = attempts(cell)
    log = cell.log_file("evaluate", 0)
    assert (entry["unit"], entry["ended"]) == ("evaluate", "crashed")
    assert entry["sentence"] == f"measuring read no batch for 1 s (stacks in {log})"
    assert "in hangs" in log.read_text()
    assert not failures(cell.folder)
    monkeypatch.setenv(RESTARTS, "1")
    small_cell(tmp_path, patient)  # the same cell, bit for bit and by name
    assert "elbo" in evaluate_cell(cell.config_file)
    assert next_action(cell, "evaluate", replace(attempt, restart=1), retries=1) == "done"
