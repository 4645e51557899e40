from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from launch.clusters.slurm import queue
from launch.clusters.slurm.register import Register, Submission
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from pipeline.cells.folder import CellFolder
from tests.cluster.cluster import Cluster
from tests.done_cells import make_done
from tests.launch.monitoring.sweeps import NAME, make_cells, say
from tests.waiting import wait_for

pytestmark = [pytest.mark.slow, pytest.mark.slurm]

ROOT = Path(__file__).resolve().parents[3]


SCRIPT = """#!/bin/bash
case $SLURM_ARRAY_TASK_ID in
  0|3) sleep 600;;
  1) echo "data_prep.errors.RunError: the objective is nan at step 4" >&2; exit 2;;
  2) kill -9 $$;;
esac
"""


class Jobs:
    """Arrays of short scripts, registered like a launcher's."""

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


def test_a_sweep_on_slurm_is_shown_and_cancelled(jobs, sweep, runs, capsys):
    cells = make_cells(sweep, 5)
    names = [cell.name for cell in cells]
    array = jobs.submit("train", cells, SCRIPT, "--array=0-4%3", "--time=30")
    dependencies = [f"--dependency=aftercorr:{array}", "--kill-on-invalid-dep=yes", "--array=0-4"]
    measured = jobs.submit("evaluate", cells, "#!/bin/bash\n", *dependencies)
    jobs.submit("compare", [], "#!/bin/bash\n", f"--dependency=afterany:{measured}")

    def phases() -> list[str]:
        return [state.phase for state in read_status(SweepFolder.named(NAME, runs)).states.values()]

    # Task 4 succeeds, and so does its measuring, but it leaves no DONE.
    wait_for(lambda: phases() == ["training", "failed", "failed", "training", "stopped"])
    wait_for(lambda: queue.ended([array]).jobs.keys() >= {f"{array}_2"})
    states = read_status(SweepFolder.named(NAME, runs)).states
    assert states[names[0]].node.startswith("n")
    assert states[names[0]].time_left.startswith(("29:", "30:"))
    assert states[names[1]].detail == "the objective is nan at step 4"
    assert states[names[2]].detail.endswith(" (SIGKILL, often out of memory)")
    assert states[names[4]].detail == "its jobs have left the queue, but it is not done"
    assert say("status", NAME, runs=runs) == 3
    printed = capsys.readouterr().out
    assert "compare: Dependency (waits for the jobs before it)" in printed
    assert "2 training, 2 failed, 1 stopped" in printed
    assert f"{names[1]} failed: the objective is nan at step 4 (logs: " in printed
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
    wait_for(
        lambda: read_status(SweepFolder.named(NAME, runs)).states[names[0]].detail == "CANCELLED by root"
    )
    assert say("status", NAME, "--watch", runs=runs) == 1
    capsys.readouterr()
    assert say("cancel", NAME, runs=runs) == 0
    assert "nothing of the sweep" in capsys.readouterr().out


def test_a_pending_cell_says_why_it_waits_and_a_restarted_one_how_often(jobs, sweep, runs):
    running, waiting = make_cells(sweep, 2)
    array = jobs.submit("train", [running, waiting], "#!/bin/bash\nsleep 600\n", "--array=0-1%1")

    def states():
        return read_status(SweepFolder.named(NAME, runs)).states

    wait_for(lambda: states()[running.name].phase == "training")
    why = "JobArrayTaskLimit (as many run at once as --max-parallel allows)"
    wait_for(lambda: states()[waiting.name].detail == why)
    assert jobs.cluster.run(["scontrol", "requeue", f"{array}_0"]).returncode == 0
    wait_for(lambda: states()[running.name].restarts == 1)


def test_a_log_is_followed_across_a_restart_until_the_cell_is_done(jobs, sweep, runs, monkeypatch):
    (cell,) = make_cells(sweep, 1)
    make_done(cell)
    cell.mark_untrained()
    logs = cell.log_file("train", 0)
    logs.parent.mkdir()
    script = f"""#!/bin/bash
cd "{cell.folder}"
echo "start ${{SLURM_RESTART_COUNT:-0}}" >> log/train-rank0.txt
[ -z "$SLURM_RESTART_COUNT" ] && exec sleep 600  # bash itself: else it may outlive its child and go on
echo measured > log/evaluate-rank0.txt
touch TRAINED
"""
    array = jobs.submit("train", [cell], script, "--array=0")
    command = [sys.executable, "-m", "launch.sweep", "logs", NAME, "seed0", "--follow", "--runs", str(runs)]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as follower:
        try:
            wait_for(lambda: logs.is_file() and "start 0" in logs.read_text())
            assert jobs.cluster.run(["scontrol", "requeue", f"{array}_0"]).returncode == 0
            printed, errors = follower.communicate(timeout=100)
        finally:
            follower.kill()
    assert follower.returncode == 0, errors
    assert [line for line in printed.splitlines() if not line.startswith("==>")] == [
        "start 0",
        "start 1",
        "measured",
    ]
    assert errors.splitlines()[-1] == f"[{cell.name} is done]"


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
    assert say("status", NAME, "--all", runs=runs) == 3
    printed = capsys.readouterr().out
    assert printed.count("m2-mnist-f1-seed") >= 1000
    assert "as many run at once as --max-parallel allows" in printed
    assert asked["squeue"] == 1
    assert asked["sacct"] <= 1
    assert asked.keys() <= {"squeue", "sacct"}
    asked.clear()
    assert say("status", runs=runs) == 3
    assert asked == {"squeue": 1, "sacct": 1}
    asked.clear()
    assert say("cancel", NAME, runs=runs) == 0
    assert asked["scancel"] == 1
