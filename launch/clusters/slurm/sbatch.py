"""The batch script, and the call of sbatch."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from submitit.slurm.slurm import _make_sbatch_string

from data_prep.errors import LaunchError
from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.queue import queued

CLIENT_TIMEOUT_S = 120.0
PATIENCE_S = 60.0
"""How long submission is retried while the controller does not answer."""

_CONTROLLER_IS_AWAY = re.compile(
    r"unable to contact|connect|timed out|socket|zero bytes|communication|temporarily unable", re.I
)
_USER_DEFAULTS = ("ACCOUNT", "PARTITION", "QOS", "CONSTRAINT", "RESERVATION", "WCKEY", "CLUSTERS")


class SbatchRefusal(LaunchError):
    """SLURM refused the jobs: they are not in its queue."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Script:
    """What an array's script depends on besides the array itself."""

    job_name: str
    comment: str
    folder: Path
    """The array's job folder, absolute."""
    code: Path
    """Working directory of the jobs, from which they import; absolute."""
    dependency: str | None
    retries: int


def sbatch_text(array: Array, script: Script) -> str:
    """The batch script of an array; submitit writes it.

    Each task finds its pickle by its array index, under a name known before sbatch is called: a launcher that
    is killed right after sbatch leaves working jobs. After srun, ``jobs.epilogue`` decides whether the job is done.
    """
    limit = "" if array.at_once is None else f"%{array.at_once}"
    further = dict(array.parameters.get("additional_parameters") or {})
    further |= {
        "array": array.indices + limit,
        "chdir": str(script.code),
        "kill-on-invalid-dep": "yes",
        "requeue": True,
    }
    srun_args = ["--kill-on-bad-exit=1", "--open-mode=append"]
    if array.parameters.get("cpus_per_task"):
        # srun inherits it from sbatch in some versions of SLURM only.
        srun_args.append(f"--cpus-per-task={array.parameters['cpus_per_task']}")
    parameters = array.parameters | {
        "job_name": script.job_name,
        "comment": script.comment,
        "dependency": script.dependency,
        "map_count": len(array.units),
        "setup": _setup(script),
        "teardown": _teardown(script),
        "srun_args": srun_args,
        "additional_parameters": further,
    }
    command = [sys.executable, "-u", "-m", "submitit.core._submit", str(script.folder)]
    return _make_sbatch_string(command=shlex.join(command), folder=script.folder, **parameters)


def pickle_file(folder: Path, index: int) -> Path:
    """The pickle of an array's task."""
    return folder / f"task-{index}.pkl"


def units_file(folder: Path) -> Path:
    """The input of ``jobs.epilogue``: a list with an entry for each array index."""
    return folder / "units.json"


def _setup(script: Script) -> list[str]:
    code, folder = shlex.quote(str(script.code)), shlex.quote(str(script.folder))
    return [
        f'export PYTHONPATH={code}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        f'ln -sf {folder}/task-"$SLURM_ARRAY_TASK_ID".pkl'
        f' {folder}/"$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"_submitted.pkl',
    ]


def _teardown(script: Script) -> list[str]:
    after = [sys.executable, "-m", "jobs.epilogue", "--units", str(units_file(script.folder))]
    return [
        "status=$?",
        f"exec {shlex.join(after)} --status $status --retries {script.retries}",
    ]


def call_sbatch(script_file: Path, comment: str, stated: Iterable[str], lock: int | None) -> str:
    """Submit a script; returns the id of the array. Retries for a minute while the controller does not answer.

    Args:
        script_file: the file with the text of ``sbatch_text``.
        comment: the script's own, to find a submission whose answer was lost.
        stated: the options in the script, by submitit's names: environment defaults do not override them.
        lock: descriptor of a lock that sbatch inherits: if this process is killed, the lock is held until sbatch ends.

    Raises:
        SbatchRefusal: SLURM refuses the jobs, with its own message.
        LaunchError: the controller does not answer; whether it accepted the jobs is unknown.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        output = ""
        try:
            answer = subprocess.run(
                ["sbatch", "--parsable", str(script_file)],
                env=clean_environment(os.environ, stated),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=CLIENT_TIMEOUT_S,
                pass_fds=() if lock is None else (lock,),
            )
            job = answer.stdout.strip().partition(";")[0]
            if answer.returncode == 0 and job.isdigit():
                return job
            output = _sbatch_output(answer.stderr + answer.stdout)
            if not _CONTROLLER_IS_AWAY.search(output):
                raise SbatchRefusal(f"sbatch refused the jobs: {output}")
        except subprocess.TimeoutExpired:
            output = f"no answer in {CLIENT_TIMEOUT_S:.0f} s"
        lost = _find_lost(comment)
        if lost is not None:
            return lost
        if time.monotonic() > deadline:
            raise LaunchError(
                f"sbatch cannot reach SLURM's controller ({output}); run the same command later to resume"
            )
        time.sleep(3.0)


def clean_environment(variables: Mapping[str, str], stated: Iterable[str]) -> dict[str, str]:
    """The environment for sbatch: without a surrounding job's variables and without defaults for the script's options.

    ``SBATCH_...`` variables override the script; only those that are a user's own defaults are kept.
    """
    kept = {f"SBATCH_{name}" for name in _USER_DEFAULTS} - {f"SBATCH_{name.upper()}" for name in stated}
    return {
        name: value
        for name, value in variables.items()
        if name in kept
        or name == "SLURM_CONF"
        or not name.startswith(("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_"))
    }


def _find_lost(comment: str) -> str | None:
    """A submission that SLURM accepted although sbatch failed to report it."""
    try:
        return next((job.partition("_")[0] for job in queued(comment=comment)), None)
    except LaunchError:
        return None


def _sbatch_output(text: str) -> str:
    """The output of sbatch, without the prefix of each line."""
    lines = [line.split("sbatch: error: ")[-1].strip() for line in text.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or "no message"
