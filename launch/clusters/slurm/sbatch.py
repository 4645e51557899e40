"""The batch script, and the call of sbatch."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from submitit.slurm.slurm import _make_sbatch_string

from data_prep.errors import LaunchError
from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.queue import queued
from launch.clusters.slurm.setup_lines import checked_lines

CLIENT_TIMEOUT_S = 120.0
PATIENCE_S = 60.0
"""How long submission is retried while the controller does not answer."""

_CONTROLLER_IS_AWAY = re.compile(
    r"unable to contact|connect|timed out|socket|zero bytes|communication|temporarily unable", re.I
)
_JOB = re.compile(r"(?:Submitted batch job )?(?P<job>\d+)(?:;\S*| on cluster \S+)?", re.I)
_LIMIT = re.compile(r"\b\w*(?:Max|Grp)SubmitJob\w*")
_USER_DEFAULTS = ("ACCOUNT", "PARTITION", "QOS", "CONSTRAINT", "RESERVATION", "WCKEY", "CLUSTERS")


class SbatchRefusal(LaunchError):
    """SLURM refused the jobs: they are not in its queue."""


class NoRoom(SbatchRefusal):
    """SLURM refused the jobs because a limit on the number of jobs in the queue is reached."""


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
    setup = _setup(script, array.parameters.get("setup", ()))
    if restricts_environment(array):
        srun_args.append("--export=ALL")  # all of the batch script's, which has what ranks need
        setup.insert(0, f". {shlex.quote(str(environment_file(script.folder)))}")
    parameters = array.parameters | {
        "job_name": script.job_name,
        "comment": script.comment,
        "dependency": script.dependency,
        "map_count": len(array.units),
        "setup": setup,
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


def restricts_environment(array: Array) -> bool:
    """Whether the jobs do not inherit the launcher's environment (sbatch's option export), which ranks need a part of."""
    return any(
        name in ("export", "export-file") for name in array.parameters.get("additional_parameters") or {}
    )


def environment_file(folder: Path) -> Path:
    """What such jobs get of the environment: a file that the script sources, since it may hold a password."""
    return folder / "environment.sh"


def environment_text(variables: Mapping[str, str]) -> str:
    """The content of ``environment_file``: where MLflow's store is, and how to sign in there."""
    return "".join(
        f"export {name}={shlex.quote(value)}\n"
        for name, value in sorted(variables.items())
        if name.startswith("MLFLOW_")
    )


def _setup(script: Script, lines: Sequence[str]) -> list[str]:
    code, folder = shlex.quote(str(script.code)), shlex.quote(str(script.folder))
    failed = _epilogue(script, '"$setup_status"') + ' --setup-line "$setup_line"'
    return [
        *checked_lines(lines, f"export PYTHONSAFEPATH=1 PYTHONPATH={code}; {failed}"),
        # Safe: not from the working folder, where a file of the user's may have the name of a package.
        f'export PYTHONSAFEPATH=1 PYTHONPATH={code}"${{PYTHONPATH:+:$PYTHONPATH}}"',
        f'ln -sf {folder}/task-"$SLURM_ARRAY_TASK_ID".pkl'
        f' {folder}/"$SLURM_ARRAY_JOB_ID"_"$SLURM_ARRAY_TASK_ID"_submitted.pkl',
    ]


def _teardown(script: Script) -> list[str]:
    return ["status=$?", _epilogue(script, "$status")]


def _epilogue(script: Script, status: str) -> str:
    after = [sys.executable, "-m", "jobs.epilogue", "--units", str(units_file(script.folder))]
    return f"exec {shlex.join(after)} --status {status} --retries {script.retries}"


def call_sbatch(script_file: Path, comment: str, stated: Iterable[str], lock: int | None) -> str:
    """Submit a script; returns the id of the array. Retries for a minute while the controller does not answer.

    Args:
        script_file: the file with the text of ``sbatch_text``.
        comment: the script's own, to find a submission whose answer was lost.
        stated: the options in the script, by submitit's names: environment defaults do not override them.
        lock: descriptor of a lock that sbatch inherits: if this process is killed, the lock is held until sbatch ends.

    Raises:
        NoRoom: a limit on the number of jobs is reached; the sentence is SLURM's name of it.
        SbatchRefusal: SLURM refuses the jobs, with its own message; none is in its queue.
        LaunchError: the controller does not answer; whether it accepted the jobs is unknown.
    """
    deadline = time.monotonic() + PATIENCE_S
    while True:
        job, output, refused = _submitted(script_file, stated, lock)
        if job is None:
            # A message is no proof: a wrapper of sbatch may hide the id, or an answer be lost on its way.
            job = _found_in_queue(comment, output, deadline)
        if job is not None:
            return job
        limit = _LIMIT.search(output)
        if refused and limit is not None:
            raise NoRoom(limit[0])
        if refused:
            raise SbatchRefusal(f"sbatch refused the jobs: {output}")
        if time.monotonic() > deadline:
            raise LaunchError(
                f"sbatch cannot reach SLURM's controller ({output}); run the same command later to resume"
            )
        time.sleep(3.0)


def _submitted(script_file: Path, stated: Iterable[str], lock: int | None) -> tuple[str | None, str, bool]:
    """One call of sbatch: the id that it printed, what else it printed, and whether that is a refusal."""
    try:
        answer = subprocess.run(
            ["sbatch", "--parsable", str(script_file)],
            env=clean_environment(os.environ, stated),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CLIENT_TIMEOUT_S,
            pass_fds=() if lock is None else (lock,),
        )
    except subprocess.TimeoutExpired:
        return None, f"no answer in {CLIENT_TIMEOUT_S:.0f} s", False
    output = sbatch_output(answer.stderr + answer.stdout)
    job = job_in(answer.stdout) if answer.returncode == 0 else None
    return job, output, not _CONTROLLER_IS_AWAY.search(output)


def job_in(answer: str) -> str | None:
    """The id of the array in sbatch's answer; None if there is none.

    A site's sbatch may be a wrapper that prints a banner, and drops ``--parsable``. The last line that is an id counts.
    """
    for line in reversed(answer.splitlines()):
        match = _JOB.fullmatch(line.strip())
        if match is not None:
            return match["job"]
    return None


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


def _found_in_queue(comment: str, output: str, deadline: float) -> str | None:
    """The array of that comment in SLURM's queue; None if there is none.

    Raises:
        LaunchError: squeue does not answer either, so it is unknown.
    """
    while True:
        try:
            return next((job.partition("_")[0] for job in queued(comment=comment)), None)
        except LaunchError as error:
            if time.monotonic() > deadline:
                raise LaunchError(
                    f"sbatch submitted no job ({output}), and {error}; run the same command later to resume"
                ) from None
        time.sleep(3.0)


def sbatch_output(text: str) -> str:
    """The output of sbatch, without the prefix of each line."""
    lines = [line.split("sbatch: error: ")[-1].strip() for line in text.splitlines() if line.strip()]
    return "; ".join(dict.fromkeys(lines)) or "no message"
