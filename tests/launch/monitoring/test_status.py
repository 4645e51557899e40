from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.clusters import queue
from launch.clusters.backend import State
from launch.clusters.slurm.register import Register, Submission
from launch.monitoring.logs import Tail
from launch.monitoring.named import SweepFolder
from launch.monitoring.standing import look
from launch.monitoring.status import main
from pipeline.attempt import Attempt
from pipeline.cell_folder import CellFolder
from pipeline.lease import held
from tests.cluster.cluster import Cluster
from tests.launch.clusters.slurm.plans import entered, in_queue

ROOT = Path(__file__).resolve().parents[3]
NAME = "a b; echo 'x'"
"""Of the sweep: no character of it may mean anything to a shell."""


@pytest.fixture
def runs(tmp_path) -> Path:
    return tmp_path / "runs"


@pytest.fixture
def sweep(runs) -> Path:
    return runs / NAME


def make_cells(sweep: Path, count: int) -> list[CellFolder]:
    cells = []
    for number in range(count):
        folder = sweep / f"m2-mnist-f1-seed{number}-{number:08x}"
        folder.mkdir(parents=True)
        settings = {"data": {"folder": "/nowhere"}, "training": {"epochs": 2, "batch_size": 10, "ranks": 1}}
        (folder / "config.json").write_text(json.dumps(settings))
        cells.append(CellFolder(folder))
    return cells


def say(word: str, *arguments: str | Path, runs: Path) -> int:
    with pytest.raises(SystemExit) as end:
        main(word, [*map(str, arguments), "--runs", str(runs)])
    return int(end.value.code or 0)


# on this machine


def test_a_local_sweep_is_told_from_its_folders(sweep, runs, capsys):
    done, failed, stopped, running, open_cell = make_cells(sweep, 5)
    done.mark_done()
    failed.give_up("the objective is nan behind step 43")
    outcome = {"job": "", "restart": 0, "unit": "train", "outcome": "interrupted", "step": 7}
    (stopped.folder / "outcome.json").write_text(json.dumps(outcome | {"sentence": "stopped behind step 7"}))
    with held(running.folder, Attempt.here(), "evaluate", seconds_to_settle=0.0):
        states = look(SweepFolder.named(NAME, runs)).states
        assert [state.phase for state in states.values()] == [
            "done",
            "failed",
            "stopped",
            "measuring",
            "waiting",
        ]
        assert say("status", NAME, runs=runs) == 3
        assert say("status", runs=runs) == 3
    printed = capsys.readouterr().out
    assert "the objective is nan behind step 43" in printed
    assert "stopped behind step 7" in printed
    assert "5 cells: 1 measuring, 1 failed, 1 stopped, 1 waiting, 1 done" in printed
    assert NAME in printed.split("to start the failed cells again")[1]  # the list of the sweeps
    states = look(SweepFolder.named(NAME, runs)).states
    assert states[running.name].phase == "stopped"
    assert states[open_cell.name].detail == "not begun"
    assert say("status", NAME, runs=runs) == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_cell_that_was_asked_to_stop_and_whose_job_is_gone_has_not_failed(sweep, there: bool):
    """Cancelled, that is: accounts may lag behind, or not be there."""
    (cell,) = make_cells(sweep, 1)
    entered(Register(sweep), "train", [cell.name], "12")
    outcome = {"job": "12_0", "restart": 0, "unit": "train", "outcome": "interrupted", "step": 7}
    (cell.folder / "outcome.json").write_text(json.dumps(outcome | {"sentence": "stopped behind step 7"}))
    seen = look(SweepFolder(sweep), queue={}, accounts=queue.Accounting(is_there=there))
    assert seen.states[cell.name] == State("stopped", "stopped behind step 7")


def test_what_was_cancelled_is_told_so_where_no_accounts_are_kept(sweep, runs, monkeypatch, capsys):
    cell, other = make_cells(sweep, 2)
    register = Register(sweep)
    jobs = in_queue(entered(register, "train", [cell.name, other.name], "12"), "12", state="RUNNING")
    cancelled: list[str] = []
    monkeypatch.setattr(queue, "cancel", cancelled.extend)
    monkeypatch.setattr("launch.monitoring.standing.queued", lambda **_: jobs)
    monkeypatch.setattr("launch.monitoring.standing.ended", lambda _: queue.Accounting(is_there=False))
    assert say("cancel", NAME, "seed0", runs=runs) == 0
    assert cancelled == ["12_0"]
    del jobs["12_0"]
    states = look(SweepFolder(sweep)).states
    assert states[cell.name] == State("stopped", "cancelled")
    assert states[other.name].phase == "training"
    entered(Register(sweep), "train", [cell.name], "15")  # started again, and lost without a word
    assert look(SweepFolder(sweep)).states[cell.name].detail != "cancelled"


@pytest.mark.parametrize("how", ["once", "watching"])
def test_the_exit_status_is_0_when_all_is_done(sweep, runs, capsys, how):
    for cell in make_cells(sweep, 2):
        cell.mark_done()
    assert say("status", NAME, *(["--watch"] if how == "watching" else []), runs=runs) == 0
    assert capsys.readouterr().out.count("done") >= 2


@pytest.mark.parametrize(
    ("word", "arguments", "sentence"),
    [
        ("status", ["a b; echo x"], f"no sweep 'a b; echo x' in {{runs}}; did you mean {NAME}?"),
        ("status", ["../x"], f"no sweep '../x' in {{runs}}; there are: {NAME}"),
        ("logs", [NAME, "seed"], "3 cells of a b; echo 'x' are named like 'seed'"),
        ("logs", [NAME, "m2-mnist-f1-sed1"], "did you mean m2-mnist-f1-seed1-00000001?"),
        (
            "logs",
            [NAME, "zzz"],
            "named like 'zzz'; there are: m2-mnist-f1-seed0-00000000, m2-mnist-f1-seed1-00000001, ",
        ),
        ("logs", [NAME, "seed1"], "m2-mnist-f1-seed1-00000001 has no log yet (stopped: not begun)"),
        ("logs", [NAME, "seed1", "--rank", "-1"], "rank is -1; it must be 0 or above"),
        ("cancel", [NAME], "has no SLURM jobs; Ctrl-C in the launcher"),
    ],
)
def test_a_wrong_name_is_one_sentence_with_the_likely_one(sweep, runs, capsys, word, arguments, sentence):
    make_cells(sweep, 3)
    assert say(word, *arguments, runs=runs) == 2
    errors = capsys.readouterr().err
    assert sentence.format(runs=runs) in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_a_damaged_register_is_one_sentence(sweep, runs, capsys):
    make_cells(sweep, 1)
    (sweep / "jobs.json").write_text('{"submissions": [')
    assert say("status", NAME, runs=runs) == 2
    assert "jobs.json is damaged" in capsys.readouterr().err


def test_logs_of_both_units_are_printed_one_behind_the_other(sweep, runs, capsys):
    (cell,) = make_cells(sweep, 1)
    for unit, rank, text in (
        ("train", 0, "trained\n"),
        ("evaluate", 0, "measured\n"),
        ("train", 1, "second\n"),
    ):
        cell.log_file(unit, rank).parent.mkdir(exist_ok=True)
        cell.log_file(unit, rank).write_text(text)
    assert say("logs", NAME, "seed0", runs=runs) == 0
    printed = capsys.readouterr().out
    assert printed.index("trained\n") < printed.index("measured\n")
    assert say("logs", NAME, "seed0", "--unit", "train", "--rank", "1", runs=runs) == 0
    assert capsys.readouterr().out == "second\n"


def test_a_log_is_followed_over_cut_characters_and_new_beginnings(tmp_path):
    file = tmp_path / "log.txt"
    tail = Tail(file)
    assert tail.new() == ""
    file.write_bytes("a é".encode()[:-1])
    assert tail.new() == "a "
    file.write_bytes("a é\n".encode())
    assert tail.new() == "é\n"
    file.write_bytes(b"b\n")
    assert tail.new() == "b\n"


def test_following_ends_with_the_cell(sweep, runs, capsys):
    (cell,) = make_cells(sweep, 1)
    cell.log_file("train", 0).parent.mkdir()
    cell.log_file("train", 0).write_text("epoch 1\n")
    cell.mark_done()
    assert say("logs", NAME, "seed0", "--follow", runs=runs) == 0
    said = capsys.readouterr()
    assert said.out.endswith("epoch 1\n")
    assert said.err == f"[{cell.name} is done]\n"


@pytest.mark.parametrize("word", ["status", "cancel", "logs"])
def test_help_teaches(word, capsys):
    with pytest.raises(SystemExit) as end:
        main(word, ["--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert f"sweep.py {word}" in printed
    if word == "status":
        assert "Exit status: 0 when every cell is done" in printed


def test_looking_needs_no_torch():
    heavy = {"torch", "mlflow", "submitit", "sklearn"}
    code = f"import sys, launch.monitoring.status; print(sorted({heavy} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr


# on SLURM


SCRIPT = """#!/bin/bash
case $SLURM_ARRAY_TASK_ID in
  0|3) sleep 600;;
  1) echo "data_prep.errors.RunError: the objective is nan behind step 4" >&2; exit 2;;
  2) kill -9 $$;;
esac
"""


class Jobs:
    """Arrays of short scripts that are registered as a launcher's are."""

    def __init__(self, cluster: Cluster, sweep: Path) -> None:
        self.cluster, self.register = cluster, Register(sweep)
        self.folder = sweep / "jobs" / "1"
        self.folder.mkdir(parents=True)

    def submit(self, stage: str, cells: list[CellFolder], script: str, *options: str) -> str:
        file = self.folder / f"{stage}.sh"
        file.write_text(script)
        comment = self.register.new_comment()
        units = {cell.name: index for index, cell in enumerate(cells)}
        entry = Submission(comment=comment, stage=stage, folder=str(self.folder), units=units)
        self.register.intend(entry)
        fixed = ["--parsable", f"--comment={comment}", "--job-name=traitvae-test", "--output=/dev/null"]
        errors = f"--error={self.folder}/%A_%a_0_log.err"
        done = self.cluster.run(["sbatch", *fixed, errors, *options, str(file)])
        assert done.returncode == 0, done.stderr
        self.register.note(comment, done.stdout.strip())
        return done.stdout.strip()

    def end(self) -> None:
        queue.cancel([entry.job for entry in self.register.submissions if entry.job])


@pytest.fixture
def jobs(slurm_cluster, sweep) -> Iterator[Jobs]:
    sweep.mkdir(parents=True)
    submitted = Jobs(slurm_cluster, sweep)
    yield submitted
    submitted.end()


def wait_for(condition, seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.2)


@pytest.mark.slow
@pytest.mark.slurm
def test_a_sweep_on_slurm_is_told_and_cancelled(jobs, sweep, runs, capsys):
    cells = make_cells(sweep, 5)
    names = [cell.name for cell in cells]
    array = jobs.submit("train", cells, SCRIPT, "--array=0-4%3", "--time=30")
    behind = [f"--dependency=aftercorr:{array}", "--kill-on-invalid-dep=yes", "--array=0-4"]
    measured = jobs.submit("evaluate", cells, "#!/bin/bash\n", *behind)
    jobs.submit("compare", [], "#!/bin/bash\n", f"--dependency=afterany:{measured}")

    def phases() -> list[str]:
        return [state.phase for state in look(SweepFolder.named(NAME, runs)).states.values()]

    # Task 4 ends well, and its measuring too, but nothing says that it is done.
    wait_for(lambda: phases() == ["training", "failed", "failed", "training", "stopped"])
    wait_for(lambda: queue.ended([array]).jobs.keys() >= {f"{array}_2"})
    states = look(SweepFolder.named(NAME, runs)).states
    assert states[names[0]].node.startswith("n")
    assert states[names[0]].time_left.startswith(("29:", "30:"))
    assert states[names[1]].detail == "the objective is nan behind step 4"
    assert states[names[2]].detail.startswith("killed by SIGKILL (often for want of memory) on n")
    assert states[names[4]].detail == "its jobs are gone, and it is not done"
    assert say("status", NAME, runs=runs) == 3
    printed = capsys.readouterr().out
    assert "compare: waits for the jobs before it" in printed
    assert "2 training, 2 failed, 1 stopped" in printed
    assert f"{names[1]} failed: the objective is nan behind step 4 (logs: " in printed
    assert say("status", runs=runs) == 3
    listed = capsys.readouterr().out.splitlines()
    assert next(line for line in listed if "echo" in line).split()[-4:] == ["5", "2", "2", "1"]
    assert say("logs", NAME, "seed1", runs=runs) == 0
    assert "RunError: the objective is nan" in capsys.readouterr().out

    assert say("cancel", NAME, "seed3", runs=runs) == 0
    assert f"2 jobs of {names[3]} cancelled" in capsys.readouterr().out
    wait_for(lambda: phases() == ["training", "failed", "failed", "stopped", "stopped"])
    assert say("cancel", NAME, runs=runs) == 0
    assert "3 jobs of the sweep" in capsys.readouterr().out  # training, measuring, and the table
    wait_for(lambda: phases() == ["stopped", "failed", "failed", "stopped", "stopped"])
    wait_for(lambda: look(SweepFolder.named(NAME, runs)).states[names[0]].detail == "cancelled by root")
    assert say("status", NAME, "--watch", runs=runs) == 1
    capsys.readouterr()
    assert say("cancel", NAME, runs=runs) == 0
    assert "no job of the sweep" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.slurm
def test_a_pending_cell_says_why_it_waits_and_a_restarted_one_how_often(jobs, sweep, runs):
    running, waiting = make_cells(sweep, 2)
    array = jobs.submit("train", [running, waiting], "#!/bin/bash\nsleep 600\n", "--array=0-1%1")

    def states():
        return look(SweepFolder.named(NAME, runs)).states

    wait_for(lambda: states()[running.name].phase == "training")
    wait_for(lambda: states()[waiting.name].detail == "as many run at once as --max-parallel allows")
    assert jobs.cluster.run(["scontrol", "requeue", f"{array}_0"]).returncode == 0
    wait_for(lambda: states()[running.name].restarts == 1)


@pytest.mark.slow
@pytest.mark.slurm
def test_a_log_is_followed_over_a_restart_until_the_cell_is_done(jobs, sweep, runs, monkeypatch):
    (cell,) = make_cells(sweep, 1)
    logs = cell.log_file("train", 0)
    logs.parent.mkdir()
    script = f"""#!/bin/bash
cd "{cell.folder}"
echo "start ${{SLURM_RESTART_COUNT:-0}}" >> log/train-rank0.txt
[ -z "$SLURM_RESTART_COUNT" ] && sleep 600
echo measured > log/evaluate-rank0.txt
touch DONE
"""
    array = jobs.submit("train", [cell], script, "--array=0")
    command = [sys.executable, "-m", "launch.sweep", "logs", NAME, "seed0", "--follow", "--runs", str(runs)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        try:
            wait_for(lambda: logs.is_file() and "start 0" in logs.read_text())
            assert jobs.cluster.run(["scontrol", "requeue", f"{array}_0"]).returncode == 0
            printed, told = follower.communicate(timeout=100)
        finally:
            follower.kill()
    assert follower.returncode == 0, told
    assert [line for line in printed.splitlines() if not line.startswith("==>")] == [
        "start 0",
        "start 1",
        "measured",
    ]
    assert told.splitlines()[-1] == f"[{cell.name} is done]"


@pytest.mark.slow
@pytest.mark.slurm
def test_a_thousand_cells_take_one_squeue_and_one_sacct(jobs, sweep, runs, capsys, monkeypatch):
    cells = make_cells(sweep, 1000)
    array = jobs.submit("train", cells, "#!/bin/bash\n[ $SLURM_ARRAY_TASK_ID = 0 ]\n", "--array=0-999%1")
    wait_for(lambda: f"{array}_0" in queue.ended([array]).jobs)
    asked: Counter[str] = Counter()
    run = subprocess.run

    def counted(command, **options):
        asked[command[0]] += 1
        return run(command, **options)

    monkeypatch.setattr(subprocess, "run", counted)
    start = time.monotonic()
    assert say("status", NAME, "--all", runs=runs) == 3
    seconds = time.monotonic() - start
    printed = capsys.readouterr().out
    assert printed.count("m2-mnist-f1-seed") >= 1000
    assert "as many run at once as --max-parallel allows" in printed
    assert asked["squeue"] == 1
    assert asked["sacct"] <= 1
    assert asked.keys() <= {"squeue", "sacct"}
    assert seconds < 20
    asked.clear()
    assert say("status", runs=runs) == 3
    assert asked == {"squeue": 1, "sacct": 1}
    asked.clear()
    assert say("cancel", NAME, runs=runs) == 0
    assert asked["scancel"] == 1
