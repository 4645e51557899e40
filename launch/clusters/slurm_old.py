"""Cells as SLURM job arrays: one array trains, a second measures each cell behind its own training."""

from __future__ import annotations

import json
import shutil
import subprocess
from itertools import groupby
from pathlib import Path
from typing import Any

import submitit
from submitit.slurm.slurm import _make_sbatch_string

from data_prep.errors import LaunchError
from data_prep.files import atomic_write
from jobs.evaluate import evaluate_cell
from jobs.train import train_cell
from launch.clusters.backend import State, jobs_folder, last_error
from launch.clusters.resources import Resources
from pipeline.cell import Cell

CLIENT_TIMEOUT_S = 60
QUERY_FORMAT = "%i|%j|%T|%r"
REASONS = {
    "Priority": "other jobs come first",
    "Resources": "no free node at the moment",
    "Dependency": "its training is not done",
    "DependencyNeverSatisfied": "its training failed",
    "QOSMaxJobsPerUserLimit": "the limit of jobs per user is reached",
    "AssocGrpCpuLimit": "the account's processors are in use",
    "PartitionTimeLimit": "the time limit is above the partition's",
    "PartitionNodeLimit": "more nodes than the partition has",
    "ReqNodeNotAvail": "a node that it needs is down or reserved",
    "JobArrayTaskLimit": "as many cells run as max_parallel allows",
    "BeginTime": "it was put back and starts again in a moment",
}


class SlurmBackend:
    """Submits once per array, and asks once per look."""

    def __init__(self, sweep: Path, resources: Resources) -> None:
        if shutil.which("sbatch") is None or shutil.which("squeue") is None:
            raise LaunchError(
                "--cluster slurm needs sbatch and squeue, which are not there: run it on a login node, or use"
                " --cluster local"
            )
        self.sweep, self.resources = sweep, resources
        self._register = sweep / "jobs.json"
        self._cells: list[Cell] = []
        self._missed: set[str] = set()

    # submitting

    def describe(self, cells: list[Cell]) -> str:
        texts = []
        for ranks, group in _by_ranks([cell for cell in cells if not cell.is_trained()]):
            parameters = self._parameters(ranks) | {"map_count": len(group)}
            texts.append(_sbatch_text("train", parameters, self.sweep))
        parameters = self._parameters(1) | {
            "map_count": len(cells),
            "dependency": "aftercorr:TRAINING_ARRAY",
        }
        texts.append(_sbatch_text("evaluate", parameters, self.sweep))
        return "\n".join(texts)

    def submit(self, cells: list[Cell]) -> None:
        self._cells = cells
        alive = self._alive()
        known = self._known_jobs()
        fresh = [cell for cell in cells if not set(known.get(cell.name, {}).values()) & alive.keys()]
        folder = jobs_folder(self.sweep) if fresh else self.sweep
        for ranks, group in _by_ranks([cell for cell in fresh if not cell.is_trained()]):
            trained = self._submit_array(folder, train_cell, group, self._parameters(ranks))
            array = trained[0].job_id.split("_")[0]
            # Registered at once: a launcher that is killed between the two arrays must not train twice.
            self._remember(known, folder, group, "train", trained)
            behind = self._parameters(1) | {"dependency": f"aftercorr:{array}"}
            measured = self._submit_array(folder, evaluate_cell, group, behind)
            self._remember(known, folder, group, "evaluate", measured)
        rest = [cell for cell in fresh if cell.is_trained()]
        if rest:
            measured = self._submit_array(folder, evaluate_cell, rest, self._parameters(1))
            self._remember(known, folder, rest, "evaluate", measured)

    def _parameters(self, ranks: int) -> dict[str, Any]:
        parameters = self.resources.parameters(ranks)
        return parameters | {
            "job_name": self._job_name,
            "array_parallelism": self.resources.max_parallel or 10_000,
            "additional_parameters": {"kill-on-invalid-dep": "yes"}
            | parameters.get("additional_parameters", {}),
            # one rank that ends with an error ends them all: the others would wait for it
            "srun_args": ["--kill-on-bad-exit=1"],
        }

    @property
    def _job_name(self) -> str:
        return f"traitvae-{self.sweep.name}"

    def _submit_array(
        self, folder: Path, unit: Any, cells: list[Cell], parameters: dict[str, Any]
    ) -> list[Any]:
        executor = submitit.SlurmExecutor(folder=folder)
        executor.update_parameters(**parameters)
        try:
            return executor.map_array(unit, [cell.config_file for cell in cells])
        except submitit.core.utils.FailedJobError as error:
            raise LaunchError(f"sbatch refused the jobs: {_sbatch_says(str(error))}") from None

    def _known_jobs(self) -> dict[str, dict[str, str]]:
        try:
            return json.loads(self._register.read_text())
        except (OSError, ValueError):
            return {}

    def _remember(
        self, known: dict[str, dict[str, str]], folder: Path, cells: list[Cell], unit: str, jobs: list[Any]
    ) -> None:
        for cell, job in zip(cells, jobs, strict=True):
            kept = known.get(cell.name, {}) if unit == "evaluate" else {}
            known[cell.name] = kept | {unit: job.job_id, "folder": str(folder)}
        with atomic_write(self._register) as file:
            file.write(json.dumps(known, indent=1).encode())

    # looking

    def states(self) -> dict[str, State]:
        alive, known = self._alive(), self._known_jobs()
        return {cell.name: self._state(cell, known.get(cell.name, {}), alive) for cell in self._cells}

    def _state(self, cell: Cell, jobs: dict[str, str], alive: dict[str, tuple[str, str]]) -> State:
        if cell.is_done():
            return State("done")
        for unit, phase in (("train", "training"), ("evaluate", "measuring")):
            if jobs.get(unit) in alive:
                state, reason = alive[jobs[unit]]
                if state == "RUNNING" or state == "COMPLETING":
                    return State(phase)  # type: ignore[arg-type]
                if unit == "train" or not cell.is_trained() or reason != "Dependency":
                    return State("waiting", REASONS.get(reason, reason))
                return State("waiting", "to be measured")
        # Not in the queue, not done: what a node wrote may take a moment to be seen here, so ask twice.
        if cell.name not in self._missed:
            self._missed.add(cell.name)
            return State("waiting", "ended; looking for its results")
        unit = "evaluate" if cell.is_trained() else "train"
        logs = sorted(Path(jobs["folder"]).glob(f"{jobs[unit]}_*_log.err")) if unit in jobs else []
        return State("failed", last_error(logs))

    def _alive(self) -> dict[str, tuple[str, str]]:
        """Job id → (state, reason) of this sweep's jobs in the queue; array tasks one by one."""
        command = [
            "squeue",
            "--me",
            "--array",
            "--noheader",
            f"--name={self._job_name}",
            f"--format={QUERY_FORMAT}",
        ]
        try:
            answer = subprocess.run(
                command, capture_output=True, text=True, timeout=CLIENT_TIMEOUT_S, check=True
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            says = (getattr(error, "stderr", "") or "no answer").strip().splitlines()[-1]
            raise LaunchError(
                f"squeue does not answer ({says}); the jobs go on without the launcher"
            ) from None
        rows = (line.split("|") for line in answer.stdout.splitlines())
        return {job: (state, reason) for job, _, state, reason in rows}

    def interrupt(self, told: bool) -> str:
        return (
            "the jobs go on without this launcher; the same command finds them again, and"
            f" 'scancel --name={self._job_name}' ends them"
        )


def _by_ranks(cells: list[Cell]) -> list[tuple[int, list[Cell]]]:
    """Cells in groups whose jobs have the same number of tasks."""

    def ranks(cell: Cell) -> int:
        return cell.config.training.ranks

    return [(count, list(group)) for count, group in groupby(sorted(cells, key=ranks), key=ranks)]


def _sbatch_text(unit: str, parameters: dict[str, Any], sweep: Path) -> str:
    """The text that sbatch would be given."""
    command = f"python -u -m submitit.core._submit {sweep}/jobs/TIME"
    return f"# {unit}\n" + _make_sbatch_string(command=command, folder=sweep / "jobs" / "TIME", **parameters)


def _sbatch_says(error: str) -> str:
    """The lines of sbatch's own in what submitit raises."""
    lines = [
        line.split("sbatch: error: ")[-1].strip() for line in error.splitlines() if "sbatch: error:" in line
    ]
    return "; ".join(dict.fromkeys(lines)) or error.strip().splitlines()[-1]
