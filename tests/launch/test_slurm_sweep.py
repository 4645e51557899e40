"""Submitting to the real SLURM: any name, a launcher that is killed, two launchers at once, arrays that are split."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from launch.clusters.resources import Resources
from launch.clusters.slurm import submission
from launch.clusters.slurm.backend import SlurmBackend
from launch.clusters.slurm.facts import read_facts
from launch.clusters.slurm.queue import cancel, queued
from launch.clusters.slurm.register import Register
from launch.clusters.slurm.sbatch import call_sbatch
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from launch.plan import DataPlaces, NeededData, located, needed_data, planned_cells, write_cells
from launch.sweep import main
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.measures.plan import is_done
from pipeline.tracking import TrackingSettings
from tests.cluster.cluster import Cluster
from tests.launch.tiny_sweep import tiny
from tests.pipeline.tracking.stores import fresh_store
from tests.waiting import wait_for

pytestmark = [pytest.mark.slurm, pytest.mark.slow]

ROOT = Path(__file__).resolve().parents[2]
SECRET = "sekret-4711"
LATER = Resources(hours=0.5, gpus_per_node=0, sbatch={"begin": "now+1hour"})
"""Jobs that are accepted but do not start, so that what was submitted can be inspected."""


class LauncherIsKilled(BaseException):
    """Simulates SIGKILL: nothing may catch it."""


@pytest.fixture
def places(tiny_raw: Path, tmp_path: Path) -> DataPlaces:
    return DataPlaces(raw=tiny_raw, data_root=tmp_path / "data")


@pytest.fixture(autouse=True)
def queue_of_its_own(slurm_cluster: Cluster) -> Iterator[None]:
    yield
    cancel(sorted(queued(comment="traitvae/")))
    slurm_cluster.wait_idle()


def planned_sweep(
    places: DataPlaces, sweep: Path, seeds: int = 2, ranks: int = 2
) -> tuple[list[Cell], list[NeededData]]:
    """The cells of a sweep, written, and the data set that they need."""
    runs = [replace(run, seed=seed) for run in tiny()[1:] for seed in range(seeds)]
    runs = [replace(run, training=replace(run.training, ranks=ranks)) for run in runs]
    cells = planned_cells(located(runs, places), sweep)
    data = needed_data([cell.config for cell in cells], places)
    return write_cells(cells, TrackingSettings(enabled=False)), data


def launch(
    cells: list[Cell],
    data: list[NeededData],
    sweep: Path,
    resources: Resources = LATER,
    *,
    max_array: int = 1001,
) -> SlurmBackend:
    """What a launcher does, up to submission."""
    facts = replace(read_facts(), max_array_size=max_array)
    backend = SlurmBackend(sweep, resources, facts=facts)
    backend.prepare(data)
    with exclusive_lock(sweep / "launch.lock", lambda: None) as lock:
        backend.submit(cells, lock)
    return backend


def stages(sweep: Path) -> Counter[str]:
    """The number of queued tasks of each stage, according to the register."""
    register = Register(sweep)
    by_comment = {entry.comment: entry.stage for entry in register.submissions}
    return Counter(by_comment[job.comment] for job in queued(comment=register.tag).values())


WHOLE = Counter({"prepare": 2, "merge": 1, "train": 2, "evaluate": 2, "compare": 1})


@pytest.mark.parametrize("killed_after", range(1, 6))
def test_a_launcher_killed_right_after_sbatch_finds_its_jobs_and_submits_nothing_twice(
    slurm_cluster: Cluster,
    places: DataPlaces,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: int,
) -> None:
    sweep = tmp_path / "sweep"
    cells, data = planned_sweep(places, sweep)
    calls: list[str] = []

    def killed(*arguments: Any) -> str:
        calls.append(call_sbatch(*arguments))
        if len(calls) == killed_after:
            raise LauncherIsKilled
        return calls[-1]

    with monkeypatch.context() as patched:
        patched.setattr(submission, "call_sbatch", killed)
        with pytest.raises(LauncherIsKilled):
            launch(cells, data, sweep)
    assert Register(sweep).submissions[-1].job is None
    first = set(queued(comment=Register(sweep).tag))
    launch(cells, data, sweep)
    assert stages(sweep) == WHOLE
    assert set(queued(comment=Register(sweep).tag)) >= first
    launch(cells, data, sweep)
    assert stages(sweep) == WHOLE


@pytest.fixture
def start_launcher(tiny_raw: Path, tmp_path: Path) -> Callable[[], subprocess.Popen[str]]:
    """Starts a launcher of the same sweep as a separate process; its jobs start in an hour."""
    places = ["--raw", tiny_raw, "--data-root", tmp_path / "data", "--runs", tmp_path / "runs"]
    options = ["--cluster", "slurm", "--hours", "0.5", "--no-preflight", "--sbatch", "begin", "now+1hour"]
    command = [sys.executable, "-m", "tests.launch.tiny_sweep", "--recipe", "tiny", "--detach", *options]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*command, *map(str, places)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    return start


@pytest.mark.slow(25)
def test_a_killed_launcher_is_resumed_by_the_same_command(
    slurm_cluster: Cluster, start_launcher: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    fresh_store(tmp_path / "runs")
    sweep = tmp_path / "runs" / "tiny"
    first = start_launcher()
    wait_for(lambda: queued(comment="traitvae/"), every_s=0.02)
    first.kill()  # as soon as its first job exists
    first.communicate()
    before = set(queued(comment="traitvae/"))
    again = start_launcher()
    printed = again.communicate(timeout=240)[0]
    assert again.returncode == 0, printed
    assert stages(sweep) == WHOLE
    assert set(queued(comment="traitvae/")) == set(queued(comment=Register(sweep).tag)) >= before


@pytest.mark.slow(25)
def test_two_launchers_at_the_same_moment_submit_once(
    slurm_cluster: Cluster, start_launcher: Callable[[], subprocess.Popen[str]], tmp_path: Path
) -> None:
    launchers = [start_launcher(), start_launcher()]
    printed = [launcher.communicate(timeout=240)[0] for launcher in launchers]
    assert [launcher.returncode for launcher in launchers] == [0, 0], printed
    assert all("python launch/sweep.py status tiny --runs " in text for text in printed)
    sweep = tmp_path / "runs" / "tiny"
    assert stages(sweep) == WHOLE
    accounts = slurm_cluster.run(["squeue", "--me", "--noheader", "--array", "--format=%j"])
    assert accounts.stdout.count("traitvae-tiny") == sum(WHOLE.values())
    parents = {
        json.loads(file.read_text())["tracking"]["parent_run_id"] for file in sweep.glob("*/config.json")
    }
    assert len(parents) == 1


def test_a_second_sweep_waits_for_the_data_set_that_the_first_prepares(
    slurm_cluster: Cluster, places: DataPlaces, tmp_path: Path
) -> None:
    for name in ("first", "second"):
        launch(*planned_sweep(places, tmp_path / name), tmp_path / name)
    assert stages(tmp_path / "second") == WHOLE - Counter({"prepare": 2, "merge": 1})
    merge = Register(tmp_path / "first").in_stages(["merge"])[0].job
    train = Register(tmp_path / "second").in_stages(["train"])[0].job
    shown = slurm_cluster.run(["squeue", "--noheader", "-j", str(train), "--format=%E"])
    assert f"afterok:{merge}" in shown.stdout


def test_arrays_are_split_at_the_clusters_limit(
    slurm_cluster: Cluster, places: DataPlaces, tmp_path: Path
) -> None:
    cells, data = planned_sweep(places, tmp_path / "sweep", seeds=5)
    launch(cells, data, tmp_path / "sweep", max_array=2)
    assert stages(tmp_path / "sweep") == WHOLE + Counter({"train": 3, "evaluate": 3})
    register = Register(tmp_path / "sweep")
    assert [len(entry.units) for entry in register.in_stages(["train"])] == [2, 2, 1]
    jobs = [register.jobs_of(cell.name) for cell in cells]
    assert len({job["train"] for job in jobs} | {job["evaluate"] for job in jobs}) == 10


SITES_SBATCH = """#!/bin/bash
echo '          Welcome to the Example Supercomputer'
array=$(sed -n 's/^#SBATCH --array=0-\\([0-9]*\\).*/\\1/p' "${{@: -1}}")
queued=$(squeue --me --array --noheader | wc -l)
if [ $((queued + ${{array:-0}} + 1)) -gt $(cat {limit}) ]; then
  echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
  echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy' >&2
  exit 1
fi
{sbatch} "${{@: -1}}"
"""


def test_what_the_queue_has_room_for_is_submitted_through_a_sites_wrapper_and_the_rest_later(
    slurm_cluster: Cluster, places: DataPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    """The wrapper prints a banner, drops ``--parsable``, and knows a limit that SLURM does not show."""
    sweep, limit, wrapper = tmp_path / "sweep", tmp_path / "limit", tmp_path / "bin" / "sbatch"
    limit.write_text("3")
    wrapper.parent.mkdir()
    wrapper.write_text(SITES_SBATCH.format(limit=limit, sbatch=shutil.which("sbatch")))
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:{os.environ['PATH']}")
    cells, data = planned_sweep(places, sweep)
    backend = launch(cells, data, sweep)
    assert stages(sweep) == Counter({"prepare": 2, "merge": 1})
    reason = "sbatch accepts no more jobs at the moment (QOSMaxSubmitJobPerUserLimit)"
    assert f"2 of 2 wait for room in the queue: {reason}" in capsys.readouterr().out
    assert {(state.phase, state.detail) for state in backend.states().values()} == {
        ("waiting", f"for room in the queue: {reason}")
    }
    seen = read_status(SweepFolder.named(str(sweep), tmp_path))
    assert {state.phase for state in seen.states.values()} == {"stopped"}
    assert all("no room for its jobs in the queue yet" in state.detail for state in seen.states.values())

    limit.write_text("6")
    monkeypatch.setattr(backend._sweep_jobs, "_next_try", 0.0)
    backend.states()
    assert stages(sweep) == Counter({"prepare": 2, "merge": 1, "train": 2, "evaluate": 1})
    limit.write_text("100")
    launch(cells, data, sweep)  # the same command
    assert stages(sweep) == WHOLE
    assert not Register(sweep).held

    limit.write_text("0")
    cancel(sorted(queued(comment=Register(sweep).tag)))
    backend = launch(cells, data, sweep)
    assert Register(sweep).held
    command = ["cancel", str(sweep), "--runs", str(tmp_path)]
    with pytest.raises(SystemExit):
        main(command)
    limit.write_text("100")  # the launcher is still there, and does not start what was cancelled
    monkeypatch.setattr(backend._sweep_jobs, "_next_try", 0.0)
    backend.states()
    assert not stages(sweep)


@pytest.mark.slow(40)
def test_a_job_tries_how_many_cells_share_a_job_and_the_sweep_keeps_the_number(
    slurm_cluster: Cluster, places: DataPlaces, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = tmp_path / "sweep"
    cells, data = planned_sweep(places, sweep, ranks=1)
    auto = Resources(hours=0.5, gpus_per_node=0, cpus_per_task=2, cells_per_gpu="auto")
    with pytest.raises(LaunchError, match="cells_per_gpu auto needs the prepared data"):
        launch(cells, data, sweep, auto)
    data[0].prepare_here()
    launch(cells, data, sweep, auto)
    (found,) = json.loads((sweep / "cells_per_gpu.json").read_bytes()).values()
    assert [one["cells"] for one in found["tried"]] == [1, 2]
    assert all(one["images_per_second"] for one in found["tried"])
    assert stages(sweep)["evaluate"] == 2 // found["chosen"]
    printed = capsys.readouterr().out
    assert "tries them; waiting for it" in printed
    assert "images/s of all by number of cells: 1: " in printed
    launch(cells, data, sweep, auto)
    assert "tries them" not in capsys.readouterr().out
    assert len(Register(sweep).in_stages(["trial"])) == 1


def test_states_while_slurm_does_not_answer_are_the_last_known_ones(
    slurm_cluster: Cluster, places: DataPlaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells, data = planned_sweep(places, tmp_path / "sweep", seeds=1)
    backend = launch(cells, data, tmp_path / "sweep")
    assert [state.phase for state in backend.states().values()] == ["waiting"]
    with monkeypatch.context() as away:
        (tmp_path / "squeue").write_text("#!/bin/sh\necho 'Unable to contact slurm controller' >&2; exit 1\n")
        (tmp_path / "squeue").chmod(0o755)
        away.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        (state,) = backend.states().values()
    assert (state.phase, state.detail) == ("waiting", "SLURM does not answer; last known: waiting")
    (state,) = backend.states().values()
    assert "its data set is being prepared" in state.detail


@pytest.mark.slow(70)
@pytest.mark.timeout(900)
def test_a_sweep_with_any_name_in_any_folder_runs_without_the_environment_and_nothing_of_it_is_executed(
    slurm_cluster: Cluster,
    tiny_raw: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    place = tmp_path / 'a "runs" $(touch pwned) folder'
    name = "it's `touch pwned`; echo x > pwned & $(touch pwned)"
    place.mkdir()
    for package in ("data_prep", "pipeline", "jobs", "launch", "submitit"):
        (place / f"{package}.py").write_text("raise SystemExit('a file of the working folder was imported')")
    monkeypatch.chdir(place)
    monkeypatch.setenv("A_SERVICES_TOKEN", SECRET)
    store = fresh_store(place / "it's a store")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", store)
    options = [
        "--sbatch",
        "export",
        "NONE",
        "--cluster",
        "slurm",
        "--hours",
        "0.5",
        "--gpus-per-node",
        "0",
        "--only",
        "m2",
        "--epochs",
        "1",
    ]
    with pytest.raises(SystemExit) as end:
        main(["--recipe", "tiny", "--name", name, "--raw", str(tiny_raw), "--data-root", "da ta", *options])
    printed = capsys.readouterr()
    assert end.value.code == 0, printed
    assert "1 done" in printed.out
    assert not (place / "runs" / "mlflow.db").exists()  # jobs and launcher use the same store
    sweep = place / "runs" / name
    assert (sweep / "comparison" / "table.csv").is_file()
    assert sum(is_done(CellFolder(file.parent)) for file in sweep.glob("*/config.json")) == 1
    written = [file for file in place.rglob("*") if file.is_file()]
    assert not [file for file in written if SECRET.encode() in file.read_bytes()]
    assert not list(tmp_path.rglob("pwned*"))
    assert not [path for path in (ROOT, Path.home()) if (path / "pwned").exists()]
    for folder in [sweep / "jobs", *(sweep / "jobs").iterdir()]:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700, folder
    register = Register(sweep)
    assert [entry.stage for entry in register.submissions] == [
        "prepare",
        "merge",
        "train",
        "evaluate",
        "compare",
    ]
    states = slurm_cluster.run(
        [
            "sacct",
            "-n",
            "-P",
            "-X",
            "-o",
            "State",
            "-j",
            ",".join(str(entry.job) for entry in register.submissions),
        ]
    )
    assert set(states.stdout.split()) == {"COMPLETED"}
    (table,) = Path(register.submissions[-1].folder).glob("*_0_log.out")
    assert " m2 " in table.read_text()
