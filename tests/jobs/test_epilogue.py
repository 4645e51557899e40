from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from jobs import epilogue as after
from jobs.outcome import Outcome
from pipeline.cells.attempt import Attempt
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Result
from pipeline.measures.plan import unsettled
from tests.done_cells import make_done

ASKED = "calls.txt"


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A job's environment, and an scontrol that records its arguments and prints ``answer.txt``."""
    programs = tmp_path / "programs"
    programs.mkdir()
    scontrol = programs / "scontrol"
    scontrol.write_text(
        f'#!/bin/sh\necho "$*" >> "{tmp_path}/{ASKED}"\n[ "$1" = requeue ] || cat "{tmp_path}/answer.txt"\n'
    )
    scontrol.chmod(0o700)
    (tmp_path / "answer.txt").write_text("JobId=14 ArrayJobId=12 JobState=RUNNING Restarts=1 Reason=None\n")
    for name, value in {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "SLURM_JOB_ID": "14",
        "SLURM_ARRAY_JOB_ID": "12",
        "SLURM_ARRAY_TASK_ID": "1",
        "SLURM_RESTART_COUNT": "1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(after, "SECONDS_TO_BE_REQUEUED", 0.0)
    return tmp_path


def run(folder: Path, unit: str, status: int, config: Path | None = None, **told: object) -> int:
    """The exit status of the epilogue; ``told``: further entries of the unit."""
    return run_with(folder, {"unit": unit, "config": None if config is None else str(config)} | told, status)


def run_with(folder: Path, entry: dict[str, object], status: int, *more: str) -> int:
    units = folder / "units.json"
    units.write_text(json.dumps([{"unit": "none of ours", "config": None}, entry]))
    with pytest.raises(SystemExit) as end:
        after.main(["--units", str(units), "--status", str(status), "--retries", "2", *more])
    return int(end.value.code or 0)


def calls(folder: Path) -> list[str]:
    file = folder / ASKED
    return file.read_text().splitlines() if file.exists() else []


@pytest.fixture
def config(slurm: Path) -> Path:
    file = slurm / "cell" / "config.json"
    file.parent.mkdir()
    file.write_text("{}")
    return file


def test_a_crashed_cell_is_requeued(slurm: Path, config: Path):
    assert run(slurm, "train", 137, config) == 137
    assert calls(slurm)[-1] == "requeue 12_1"


def test_a_cell_that_is_done_succeeds_whatever_the_status_of_srun(slurm: Path, config: Path):
    make_done(CellFolder(config.parent))
    assert run(slurm, "evaluate", 1, config) == 0
    assert not calls(slurm)


def test_a_cell_that_is_done_is_requeued_until_it_has_all_measures_of_its_job(slurm: Path, config: Path):
    cell = CellFolder(config.parent)
    make_done(cell)
    told = {"take": ["likelihood"], "split": "train"}
    assert run(slurm, "evaluate", 137, config, **told) == 137
    assert calls(slurm)[-1] == "requeue 12_1"
    (entry,) = unsettled(cell, replace(cell.measures_config(), take=("likelihood",), split="train"))
    Result(key=entry.key).write(cell.folder)
    assert run(slurm, "evaluate", 137, config, **told) == 0


def test_an_interrupted_cell_whose_ranks_succeeded_is_requeued(slurm: Path, config: Path):
    said = {
        "job": "12_1",
        "restart": 1,
        "unit": "train",
        "outcome": "interrupted",
        "sentence": "stopped",
        "step": 7,
    }
    (config.parent / "outcome.json").write_text(json.dumps(said))
    assert run(slurm, "train", 0, config) == 1
    assert calls(slurm)[-1] == "requeue 12_1"


@pytest.mark.parametrize(
    "answer",
    ["JobState=CANCELLED Restarts=1", "JobState=COMPLETING Restarts=1", "JobState=RUNNING Restarts=2", ""],
)
def test_a_job_that_is_cancelled_or_was_started_again_is_left_alone(slurm: Path, config: Path, answer: str):
    (slurm / "answer.txt").write_text(answer)
    assert run(slurm, "train", 143, config) == 143
    assert not [line for line in calls(slurm) if line.startswith("requeue")]
    assert not (config.parent / "attempts.jsonl").exists()  # it does not count


def test_a_controller_that_has_forgotten_the_newest_start_is_asked_to_requeue(slurm: Path, config: Path):
    (slurm / "answer.txt").write_text("JobState=RUNNING Restarts=0")
    assert run(slurm, "train", 137, config) == 137
    assert calls(slurm)[-1] == "requeue 12_1"


@pytest.mark.parametrize(
    ("status", "restarts", "ends", "requeued"),
    [(0, "0", 0, False), (2, "0", 2, False), (1, "1", 1, True), (1, "2", 1, False)],
)
def test_other_units_are_retried_unless_the_user_must_act(
    slurm: Path, monkeypatch: pytest.MonkeyPatch, status: int, restarts: str, ends: int, requeued: bool
):
    monkeypatch.setenv("SLURM_RESTART_COUNT", restarts)
    (slurm / "answer.txt").write_text(f"JobState=RUNNING Restarts={restarts}")
    assert run(slurm, "prepare", status) == ends
    assert bool(calls(slurm)) == requeued


def test_a_refusal_by_scontrol_is_reported_in_one_sentence(
    slurm: Path, config: Path, capsys: pytest.CaptureFixture[str]
):
    (slurm / "programs" / "scontrol").write_text("#!/bin/sh\necho 'Access denied' >&2\nexit 1\n")
    assert run(slurm, "train", 1, config) == 2
    assert "error: scontrol --oneliner show job 12_1: Access denied" in capsys.readouterr().err


@pytest.mark.parametrize("content", ["[]", "{", '[{}, {"unit": 3}]', "[1, 2]"])
def test_a_wrong_list_of_units_is_reported_in_one_sentence(
    slurm: Path, capsys: pytest.CaptureFixture[str], content: str
):
    units = slurm / "units.json"
    units.write_text(content)
    with pytest.raises(SystemExit, match="2"):
        after.main(["--units", str(units), "--status", "0", "--retries", "2"])
    assert "names no unit for the array index 1" in capsys.readouterr().err


def test_it_starts_fast_without_torch():
    code = "import sys, jobs.epilogue, jobs.run; print({'torch', 'mlflow', 'pydantic', 'submitit'} & set(sys.modules))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=180)
    assert ended.stdout.strip() == "set()"


@pytest.mark.parametrize("status", [1, 0])
def test_a_setup_line_that_failed_is_the_outcome_of_the_cell(slurm: Path, config: Path, status: int):
    (slurm / "12_1_0_log.err").write_text(
        "Loading\n/spool/slurm_script: line 9: module: cuda/99 is unknown\n\n"
    )
    entry: dict[str, object] = {"unit": "train", "config": str(config)}
    assert run_with(slurm, entry, status, "--setup-line", "module load cuda/99") == 2
    cell = CellFolder(config.parent)
    host = Attempt.here().host
    sentence = f"the setup line 'module load cuda/99' failed on {host} with status {status} (module: cuda/99 is unknown)"
    assert cell.failed() == sentence
    outcome = Outcome.read(cell.folder)
    assert outcome is not None
    assert (outcome.outcome, outcome.sentence) == ("failed", sentence)
    assert not calls(slurm)  # another attempt would fail too


def test_a_setup_line_that_failed_is_reported_by_a_job_without_a_cell(slurm: Path, capsys):
    assert run_with(slurm, {"unit": "prepare", "config": None}, 1, "--setup-line", "source env.sh") == 2
    assert "error: the setup line 'source env.sh' failed on" in capsys.readouterr().err
