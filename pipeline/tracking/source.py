"""Tags with the commit of a run's code and its SLURM job."""

from __future__ import annotations

import json
import os
import subprocess
from functools import cache
from pathlib import Path

SOURCE_FILE = "source.json"
"""File in a snapshot of the code with the tags of the checkout that it was taken from."""


def source_tags() -> dict[str, str]:
    """``git_commit`` and ``git_dirty`` of this project's checkout (if it is one), ``slurm_job_id`` in a job."""
    tags = dict(_git_tags())
    job = os.environ.get("SLURM_JOB_ID")
    if job:
        task = os.environ.get("SLURM_ARRAY_TASK_ID")
        array = os.environ.get("SLURM_ARRAY_JOB_ID")
        tags["slurm_job_id"] = f"{array}_{task}" if array and task else job
    return tags


@cache
def _git_tags() -> tuple[tuple[str, str], ...]:
    folder = Path(__file__).resolve().parents[2]
    if not (folder / ".git").exists():  # an installed copy inside another checkout is not of that commit
        copied_from = folder / SOURCE_FILE
        return tuple(json.loads(copied_from.read_text()).items()) if copied_from.is_file() else ()
    commit = _git(folder, "rev-parse", "HEAD")
    if not commit:
        return ()
    changed = _git(folder, "status", "--porcelain", "--untracked-files=no")
    return (
        ("git_commit", commit),
        ("git_dirty", "unknown" if changed is None else str(bool(changed)).lower()),
        ("mlflow.source.git.commit", commit),
    )


def _git(folder: Path, *arguments: str) -> str | None:
    command = ["git", "-C", str(folder), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
