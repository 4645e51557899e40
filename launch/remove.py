"""Removes a sweep: ``python launch/sweep.py remove SWEEP``."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import LaunchError
from launch.at_rest import kept_at_rest, refuse_jobs, refuse_processes
from launch.monitoring.named import SweepFolder, SweepName, sweeps_in
from launch.uploads import RecordedTracking
from pipeline.measures.plan import is_done
from pipeline.tracking import public_uri, tracking_uri
from pipeline.tracking.runs import READERS
from pipeline.tracking.sweep_identity import SweepIdentity, original_of
from pipeline.tracking.whole_sweep import count_runs, delete_runs


@dataclass(frozen=True, kw_only=True)
class Remove:
    """Remove a sweep: its folder, with checkpoints, results and logs, and its runs in MLflow.

    What would be removed is shown first, and a question asked. Data sets and label readers stay, and so does a sweep of
    which anything runs or waits. MLflow keeps deleted runs, to be restored, until `mlflow gc`, which frees their files.
    """

    sweep: SweepName
    """name of the sweep, or its folder"""
    runs: Path = Path("runs")
    """folder of the sweeps"""
    yes: bool = False
    """remove without asking"""


def remove(options: Remove) -> int:
    """Remove the sweep; returns the exit status: 1 if the user declined.

    Raises:
        LaunchError: something of it runs or waits, nobody can be asked, or files could not be removed.
        TrackingError: the MLflow store cannot be reached; nothing was removed.
    """
    sweep = SweepFolder.named(options.sweep, options.runs)
    refuse_jobs(sweep)
    refuse_processes(sweep)
    uri, ids = tracking_uri(None, sweep.path.parent), ids_of(sweep.path)
    runs = count_runs(uri, ids)
    for line in _described(sweep, runs, public_uri(uri)):
        print(line)
    if not (options.yes or _confirmed(sweep.path.name)):
        print("nothing was removed")
        return 1
    gone = sweep.path.with_name(f".removed-{sweep.path.name}-{os.getpid()}")
    with kept_at_rest(sweep):
        gone.mkdir()  # first: whoever may not remove the folder keeps its runs
        try:
            delete_runs(uri, ids)
            # From here on it is no sweep any more, also after an interruption: its cells are a folder deeper than a sweep's.
            sweep.path.rename(gone / sweep.path.name)
        except BaseException:
            with suppress(OSError):
                gone.rmdir()
            raise
    try:
        shutil.rmtree(gone)
    except (OSError, KeyboardInterrupt) as error:
        raise LaunchError(
            f"{sweep.path.name} is removed, but files of it are left ({str(error) or 'interrupted'}): remove {gone} yourself"
        ) from None
    print(f"{sweep.path.name} is removed, and {counted(runs, 'run is', 'runs are')} deleted in MLflow")
    return 0


def ids_of(sweep: Path) -> list[str]:
    """The ids by which MLflow's runs are the sweep's own; those of the original if the folder is a copy are not."""
    identity, recorded = SweepIdentity.read(sweep), RecordedTracking.of(sweep)
    ids = [] if identity is None else [identity.id]
    if recorded is not None and recorded.parent_run_id is not None and original_of(sweep) is None:
        ids.append(recorded.parent_run_id)
    return ids


def _described(sweep: SweepFolder, runs: int, store: str) -> Iterator[str]:
    trained = sum(cell.is_trained() for cell in sweep.cells)
    done = sum(map(is_done, sweep.cells))
    files = [path for path in sweep.path.rglob("*") if path.is_file() and not path.is_symlink()]
    size = sum(path.stat().st_size for path in files)
    yield (
        f"{sweep.path}: {counted(len(sweep.cells), 'cell')}, {trained} trained, {done} measured;"
        f" {counted(len(files), 'file')}, {_bytes(size)}"
    )
    yield f"{store}: {counted(runs, 'run')}, to be deleted"
    if sweep.path.name.startswith(READERS):
        others = [other.path.name for other in sweeps_in(sweep.path.parent) if _rests_on(other, sweep.path)]
        if others:
            yield f"measures of {', '.join(others)} rest on these label readers, which would be trained again"


def _rests_on(sweep: SweepFolder, readers: Path) -> bool:
    records = (cell.record() for cell in sweep.cells)
    return any(
        Path(folder).parent == readers for record in records if record for folder in record.measures.readers
    )


def _bytes(number: float) -> str:
    for unit in ("bytes", "KB", "MB"):
        if number < 1000:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} GB"


def _confirmed(name: str) -> bool:
    if not sys.stdin.isatty():
        raise LaunchError(
            f"nobody can be asked whether to remove {name}, since there is no terminal: add --yes"
        )
    try:
        return input(f"remove {name}? [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False
