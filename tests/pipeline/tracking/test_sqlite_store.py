"""A store that is a SQLite file: made whole or not at all, and usable after it was moved."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from data_prep.errors import TrackingError
from pipeline.tracking import create_store, start_sweep, tracking_uri
from pipeline.tracking.sqlite_store import make_store, move_artifact_roots
from pipeline.tracking.store import connect
from tests.pipeline.tracking.stores import forget_artifact_places, fresh_store, quiet_mlflow

pytestmark = quiet_mlflow


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_store_whose_making_is_interrupted_leaves_nothing_of_itself(
    tmp_path: Path, error: BaseException
) -> None:
    store = tmp_path / "runs [1]" / "mlflow.db"

    def half(uri: str) -> None:
        with closing(sqlite3.connect(uri.removeprefix("sqlite:///"))) as database:
            database.execute("CREATE TABLE experiment_tags (key TEXT)")
            database.commit()
        raise error

    def whole(uri: str) -> None:
        Path(uri.removeprefix("sqlite:///")).write_bytes(b"whole")

    with pytest.raises(TrackingError if isinstance(error, OSError) else KeyboardInterrupt):
        make_store(store, half)
    assert list(store.parent.iterdir()) == []
    # kill -9 removes nothing: the next one does
    (store.parent / ".mlflow.db.0123.partial").write_bytes(b"half")
    (store.parent / ".mlflow.db.0123.partial-journal").write_bytes(b"half")
    make_store(store, whole)
    assert [path.name for path in store.parent.iterdir()] == ["mlflow.db"]


@pytest.mark.parametrize("copied", [False, True])
def test_a_store_that_was_moved_or_copied_has_its_artifacts_next_to_it(tmp_path: Path, copied: bool) -> None:
    old, new = tmp_path / "it's old", tmp_path / "the new one"
    run_id = start_sweep(fresh_store(old), "an experiment", "sweep", {}).parent_run_id
    (note := tmp_path / "note.txt").write_text("hello")
    connect(tracking_uri(None, old)).log_artifact(run_id, str(note))
    shutil.copytree(old, new) if copied else old.rename(new)

    forget_artifact_places()

    uri = tracking_uri(None, new)
    create_store(uri)
    note.write_text("from the new place")
    client = connect(uri)
    client.log_artifact(run_id, str(note), "more")
    assert old.exists() == copied
    assert len(list(old.rglob("note.txt"))) == copied
    assert {path.read_text() for path in new.rglob("note.txt")} == {"hello", "from the new place"}
    assert [item.path for item in client.list_artifacts(run_id)] == ["more", "note.txt"]
    assert move_artifact_roots(new / "mlflow.db") == 0
