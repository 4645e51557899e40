"""Sweeps of one name in a store that several people and folders share."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

import pytest

from pipeline.tracking import finish_sweep, send_to_sweep, start_sweep, stop_sweep
from pipeline.tracking.runs import newest_sweep, read_sweep, sweeps_named, sweeps_with_id
from pipeline.tracking.store import connect
from pipeline.tracking.sweep_identity import SweepIdentity
from pipeline.tracking.sweep_run import SweepRun
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = quiet_mlflow

ADA = SweepIdentity(id="aa11" * 8, user="ada", host="n1", folder="/ada/runs/full", experiment="x")
BOB = replace(ADA, id="bb22" * 8, user="bob", folder="/bob/runs/full")


def add(uri: str, parent: SweepRun, cell: str = "cell", **tags: str) -> str:
    own = {"sweep": "full", "cell": cell, "mlflow.parentRunId": parent.parent_run_id}
    return str(connect(uri).create_run(parent.experiment_id, tags=own | tags).info.run_id)


def test_two_people_with_one_store_and_one_name_have_a_sweep_each(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    parents = {who: start_sweep(uri, "x", "full", {}, who) for who in (ADA, BOB)}
    runs = {who: add(uri, parent, sweep_id=who.id) for who, parent in parents.items()}
    assert start_sweep(uri, "x", "full", {}, ADA) == parents[ADA]
    found = {sweep.id: sweep for sweep in sweeps_named(uri, "full")}
    assert {each: [run.run_id for run in sweep.runs] for each, sweep in found.items()} == {
        ADA.id: [runs[ADA]],
        BOB.id: [runs[BOB]],
    }
    assert (found[BOB.id].user, found[BOB.id].folder) == ("bob", BOB.folder)
    assert [sweep.id for sweep in sweeps_with_id(uri, "bb22b")] == [BOB.id]
    newest = newest_sweep(uri)
    assert newest is not None
    assert newest.id == BOB.id


def test_a_sweep_started_over_in_its_folder_replaces_the_former_one(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    client = connect(uri)
    first, other = start_sweep(uri, "x", "full", {}, ADA), start_sweep(uri, "x", "full", {}, BOB)
    old, another = add(uri, first, sweep_id=ADA.id), add(uri, other, sweep_id=BOB.id)
    again = replace(ADA, id="cc33" * 8)  # the folder was removed
    second = start_sweep(uri, "x", "full", {}, again)
    assert second.is_new
    assert [
        client.get_run(run).data.tags.get("replaced_by") for run in (first.parent_run_id, old, another)
    ] == [
        second.parent_run_id,
        second.parent_run_id,
        None,
    ]
    assert {sweep.id for sweep in sweeps_named(uri, "full")} == {again.id, BOB.id}


def test_a_sweep_of_an_earlier_version_keeps_its_runs(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    old = start_sweep(uri, "x", "full", {})
    run = add(uri, old)
    assert start_sweep(uri, "x", "full", {}, BOB).is_new  # its cells name no parent run: it may be anybody's
    assert start_sweep(uri, "x", "full", {}, ADA, old.parent_run_id) == old
    own = next(sweep for sweep in sweeps_named(uri, "full") if sweep.id == ADA.id)
    assert [each.run_id for each in own.runs] == [run]


def test_ctrl_c_while_the_run_of_a_sweep_is_made_leaves_none_that_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri = fresh_store(tmp_path)
    client = connect(uri)
    create = type(client).create_run

    def interrupted(*arguments: Any, **named: Any) -> NoReturn:
        create(*arguments, **named)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(type(client), "create_run", interrupted)
        with pytest.raises(KeyboardInterrupt):
            start_sweep(uri, "x", "full", {}, ADA)
    again = start_sweep(uri, "x", "full", {}, ADA, running=False)
    assert not again.is_new
    assert client.get_run(again.parent_run_id).info.status == "KILLED"


def test_a_stopped_sweep_has_no_running_run_and_a_deleted_one_can_be_finished(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    client = connect(uri)
    parent = start_sweep(uri, "x", "full", {}, ADA)
    running, finished = add(uri, parent, "one"), add(uri, parent, "two")
    client.set_terminated(finished, "FINISHED")
    stop_sweep(uri, parent.parent_run_id)
    assert [client.get_run(run).info.status for run in (parent.parent_run_id, running, finished)] == [
        "KILLED",
        "KILLED",
        "FINISHED",
    ]
    client.delete_run(parent.parent_run_id)
    finish_sweep(uri, parent.parent_run_id, "finished")
    assert len(read_sweep(uri, "full")) == 2


def test_a_sweep_says_what_it_is_about_and_shows_its_files(tmp_path: Path) -> None:
    uri = fresh_store(tmp_path)
    client = connect(uri)
    parent = start_sweep(uri, "x", "full", {}, ADA, note="two systems")
    assert client.get_run(parent.parent_run_id).data.tags["mlflow.note.content"] == "two systems"
    kind = client.get_experiment(parent.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "custom_model_development"  # with which MLflow opens at training runs
    client.set_tag(parent.parent_run_id, "mlflow.note.content", "my words")
    client.set_experiment_tag(parent.experiment_id, "mlflow.experimentKind", "regression")
    start_sweep(uri, "x", "full", {}, ADA, note="two systems")
    assert client.get_run(parent.parent_run_id).data.tags["mlflow.note.content"] == "my words"
    kind = client.get_experiment(parent.experiment_id).tags["mlflow.experimentKind"]
    assert kind == "regression"

    (tmp_path / "comparison").mkdir()
    (tmp_path / "comparison" / "table.csv").write_text("n,accuracy")
    send_to_sweep(uri, parent.parent_run_id, [tmp_path / "comparison"])
    shown = client.list_artifacts(parent.parent_run_id, "comparison")
    assert [item.path for item in shown] == ["comparison/table.csv"]
    client.delete_run(parent.parent_run_id)
    send_to_sweep(uri, parent.parent_run_id, [tmp_path / "comparison"])
    send_to_sweep(uri, "0" * 32, [tmp_path / "comparison"])
