"""Which sweep of a store a user means: one with the name may be somebody else's."""

from __future__ import annotations

from pathlib import Path

from data_prep.errors import TrackingError
from data_prep.program_name import program
from launch.uploads import RecordedTracking
from pipeline.tracking import public_uri
from pipeline.tracking.address import sqlite_file
from pipeline.tracking.runs import (
    RecordedSweep,
    deleted_experiments,
    list_sweeps,
    newest_sweep,
    sweeps_named,
    sweeps_with_id,
)
from pipeline.tracking.sweep_identity import SweepIdentity, original_of


def chosen_sweep(uri: str, runs: Path, wanted: str | None) -> RecordedSweep:
    """The sweep that is meant: that of the folder ``runs/NAME`` if it exists, else the only one of that name.

    Args:
        uri: address of the store.
        runs: folder of the user's own sweeps.
        wanted: name of the sweep, or the beginning of its id; None: the newest.

    Raises:
        TrackingError: there is none, or several folders' sweeps have the name.
    """
    if wanted is None:
        newest = newest_sweep(uri)
        if newest is None:
            raise TrackingError(
                f"the MLflow store {public_uri(uri)} holds no sweep yet{_deleted(uri) or '; run one first'}"
            )
        return newest
    found = sweeps_named(uri, wanted)
    own = _own_ids(uri, runs / wanted)
    if own:
        for each in own:
            for sweep in found:
                if sweep.id == each:
                    return sweep
        raise TrackingError(_not_there(uri, runs / wanted, found))
    found = found or sweeps_with_id(uri, wanted)
    if len(found) == 1:
        return found[0]
    if not found:
        names = list(dict.fromkeys(sweep.name for sweep in list_sweeps(uri)))
        there = f"there are: {', '.join(names)}" if names else "there are none yet"
        raise TrackingError(f"no sweep is named {wanted!r} in {public_uri(uri)}; {there}{_deleted(uri)}")
    places = "; ".join(map(str, found))
    raise TrackingError(
        f"{len(found)} sweeps in {public_uri(uri)} are named {wanted}: {places}; choose one with --sweep ID, or with --runs"
        " and the folder that holds it"
    )


def is_of_folder(uri: str, sweep: RecordedSweep, folder: Path) -> bool:
    """Whether a recorded sweep is that of a folder; False if the folder does not exist."""
    return sweep.id in _own_ids(uri, folder)


def _own_ids(uri: str, folder: Path) -> list[str]:
    """The ids that the sweep of a folder may have in a store; none if there is no such folder."""
    identity = SweepIdentity.read(folder)
    recorded = RecordedTracking.of(folder) if folder.is_dir() else None
    ids = [] if identity is None else [identity.id]
    if recorded is not None and recorded.parent_run_id is not None:  # it may be from before sweeps had ids
        ids.append(recorded.parent_run_id)
    original = original_of(folder)
    store = sqlite_file(uri)
    if original is not None and store is not None and store.parent == folder.absolute().parent:
        ids.append(original.id)  # the store was copied together with the folder
    return ids


def _not_there(uri: str, folder: Path, others: list[RecordedSweep]) -> str:
    remedy = f"to bring it there: {program('compare')} --sync --sweep {folder.name} --runs {folder.parent}"
    namesakes = (
        f"; others of that name are: {'; '.join(map(str, others))} (--sweep ID shows one)" if others else ""
    )
    return f"the sweep in {folder} is not in {public_uri(uri)}{_deleted(uri)}; {remedy}{namesakes}"


def _deleted(uri: str) -> str:
    names = deleted_experiments(uri)
    if not names:
        return ""
    return (
        f" (deleted in MLflow: experiment {', '.join(names)}; mlflow experiments restore brings it back, and so does"
        " starting a sweep in it)"
    )
