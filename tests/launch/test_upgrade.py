from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from launch import upgrade as upgrading
from launch.former import JOURNAL_FILE
from launch.sweep import main
from pipeline.cell import Cell
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import results
from pipeline.config import from_json
from pipeline.tracking import sync
from pipeline.tracking.runs import read_sweep
from pipeline.tracking.state import UploadState
from tests.data_prep.fixtures import content
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

FORMER: dict[str, str] = json.loads(Path(__file__).with_name("former_sweep.json").read_text())["files"]
"""Files of a sweep that the former code made: of its cells what is small."""
ON_TEST = "ccvae-idx_folder-f0.5-seed0-29814d41"
ON_TRAIN = "ccvae-idx_folder-f0.5-seed0-67a3b5b3"
SEED_1 = "ccvae-idx_folder-f0.5-seed1-248b439f"
ONE_PER_CLASS = "ccvae-idx_folder-f0-one_per_class-seed0-a0b74b0c"


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    folder = tmp_path / "runs" / "old"
    for name, text in FORMER.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        for place in ("DATA", "RUNS", "ROOT"):
            text = text.replace(f"@{place}@", str(tmp_path / place.lower()))
        file.write_text(text)
    for cell in (ON_TEST, ON_TRAIN, SEED_1, ONE_PER_CLASS):
        (folder / cell / "checkpoints" / "step-00000024.pt").write_bytes(cell.encode())
        (folder / cell / "lock").touch()
    return folder


@pytest.fixture(autouse=True)
def uploaded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The folders of cells whose MLflow runs were brought up to date; no store is there."""
    folders: list[str] = []
    monkeypatch.setattr(upgrading, "sync", lambda cell: folders.append(cell.name))
    return folders


def say(*arguments: str, runs: Path) -> int:
    with pytest.raises(SystemExit) as end:
        main([*arguments, "--runs", str(runs)])
    return int(end.value.code or 0)


def new_names(sweep: Path) -> dict[str, Path]:
    """New cell by the checkpoint of the old one."""
    return {
        file.read_text(): file.parents[1] for file in sorted(sweep.glob("*/checkpoints/step-00000024.pt"))
    }


def test_each_cell_gets_its_new_name_and_keeps_everything(sweep, uploaded, capsys) -> None:
    before = {cell: content(sweep / cell) for cell in (ON_TEST, SEED_1, ONE_PER_CLASS)}
    assert say("upgrade", "old", runs=sweep.parent) == 0
    assert "3 cells of old got the current names: 3 trained" in capsys.readouterr().out
    cells = new_names(sweep)
    for former, folder in cells.items():
        cell = CellFolder(folder)
        assert cell.is_trained()
        assert not (folder / "DONE").exists()
        kept = content(folder)
        for name in ("metrics.jsonl", "lease.json", "checkpoints/step-00000024.pt"):
            assert kept[name] == before[former][name]
    assert cells[ON_TEST].name.startswith("ccvae-idx_folder-f0.5-seed0-")
    assert cells[SEED_1].name.startswith("ccvae-idx_folder-f0.5-seed1-labels0-")
    assert cells[ONE_PER_CLASS].name.startswith("ccvae_one_per_class-idx_folder-f0-one_per_class-seed0-")
    config = from_json((cells[ONE_PER_CLASS] / "config.json").read_text())
    assert config.model.nearest_example_weight == 5.0  # type: ignore[union-attr]
    assert config.data.label_seed == 0
    assert set(uploaded) == {*(folder.name for folder in cells.values()), ON_TRAIN}
    assert not (sweep / JOURNAL_FILE).exists()


def test_former_numbers_are_results_on_their_splits_and_two_cells_trained_alike_become_one(
    sweep, capsys
) -> None:
    say("upgrade", "old", runs=sweep.parent)
    assert f"{ON_TRAIN} has the same training as " in capsys.readouterr().out
    cell = new_names(sweep)[ON_TEST]
    found = {
        (result.key.measure, result.key.split): {
            name: number.value for name, number in result.numbers.items()
        }
        for result in results(cell)
    }
    assert set(found) == {
        (measure, split) for measure in ("classification", "likelihood") for split in ("test", "train")
    }
    assert found["classification", "train"]["classification_accuracy"] == 0.16
    assert found["classification", "test"]["classification_accuracy"] != 0.16
    merged = sweep / "merged" / ON_TRAIN
    assert (merged / "checkpoints" / "step-00000024.pt").read_text() == ON_TRAIN
    state = UploadState.load(merged)
    assert state is not None
    assert state.tags["sweep"] == "old (merged)"


def test_the_mlflow_run_is_kept_and_gets_the_new_name(sweep) -> None:
    before = UploadState.load(sweep / ONE_PER_CLASS)
    say("upgrade", "old", runs=sweep.parent)
    folder = new_names(sweep)[ONE_PER_CLASS]
    after = UploadState.load(folder)
    assert before is not None
    assert after is not None
    assert (after.run_id, after.key, after.pushed_bytes) == (before.run_id, before.key, before.pushed_bytes)
    assert after.run_name == after.tags["cell"] == folder.name
    assert after.tags["system"] == after.params["model.system"] == "ccvae_one_per_class"


@quiet_mlflow
def test_the_store_has_the_same_run_with_its_new_name_and_system_and_without_merged_cells(
    sweep, monkeypatch
) -> None:
    uri = fresh_store(sweep.parent)
    for name in (ONE_PER_CLASS, ON_TEST, ON_TRAIN):
        state = UploadState.load(sweep / name)
        assert state is not None
        state.uri, state.parent_run_id, state.run_id, state.pushed_bytes = uri, None, None, 0
        state.artifacts = {}
        state.save(sweep / name)
        sync(sweep / name)
    former = {run.cell: run for run in read_sweep(uri, "old")}
    assert set(former) == {ONE_PER_CLASS, ON_TEST, ON_TRAIN}
    (sweep / SEED_1 / "tracking.json").unlink()
    monkeypatch.setattr(upgrading, "sync", sync)
    assert say("upgrade", "old", runs=sweep.parent) == 0
    names = {former: folder.name for former, folder in new_names(sweep).items()}
    runs = {run.cell: run for run in read_sweep(uri, "old")}
    assert set(runs) == {names[ONE_PER_CLASS], names[ON_TEST]}
    upgraded = runs[names[ONE_PER_CLASS]]
    assert upgraded.run_id == former[ONE_PER_CLASS].run_id
    assert upgraded.params["model.system"] == "ccvae_one_per_class"
    assert upgraded.metrics["test/classification_accuracy"] == 0.1
    assert runs[names[ON_TEST]].metrics["train_split/classification_accuracy"] == 0.16


def test_options_and_jobs_follow_the_names(sweep, monkeypatch) -> None:
    jobs = {"comment": "traitvae/0", "submissions": [{"units": {ON_TEST: 0, SEED_1: 1, "data/0": 2}}]}
    (sweep / "jobs.json").write_text(json.dumps(jobs))
    asked = json.loads((sweep / "asked.json").read_text())
    asked[0]["options"]["only"] = [SEED_1, "ccvae-"]
    (sweep / "asked.json").write_text(json.dumps(asked))
    monkeypatch.setattr(upgrading, "refuse_jobs", lambda sweep: None)
    say("upgrade", "old", runs=sweep.parent)
    names = {former: folder.name for former, folder in new_names(sweep).items()}
    assert json.loads((sweep / "jobs.json").read_text())["submissions"][0]["units"] == {
        names[ON_TEST]: 0,
        names[SEED_1]: 1,
        "data/0": 2,
    }
    (launch,) = json.loads((sweep / "asked.json").read_text())
    assert launch["cells"] == sorted(names.values())
    assert launch["options"]["only"] == [names[SEED_1], "ccvae-"]


class Killed(BaseException):
    """Simulates SIGKILL: nothing may catch it."""


@pytest.mark.parametrize(
    "write", ["write", "mark_trained", "save", "rename", "unlink", "_write", "_rename_in_options"]
)
def test_killed_at_any_point_it_resumes_to_the_same_end(
    sweep, tmp_path, monkeypatch, write: str, capsys
) -> None:
    whole = tmp_path / "whole" / "old"
    shutil.copytree(sweep, whole)
    say("upgrade", "old", runs=whole.parent)
    owners: dict[str, Any] = {
        "write": Cell,
        "mark_trained": CellFolder,
        "save": UploadState,
        "rename": Path,
        "unlink": Path,
    }
    owner = owners.get(write, upgrading)
    real = getattr(owner, write)
    most = 0
    while True:
        most += 1
        calls = 0

        def dies(*arguments: Any, most: int = most, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == most:
                raise Killed
            return real(*arguments, **named)

        with monkeypatch.context() as patched:
            patched.setattr(owner, write, dies)
            try:
                say("upgrade", "old", runs=sweep.parent)
                break
            except Killed:
                if (sweep / JOURNAL_FILE).exists():
                    assert say("status", "old", runs=sweep.parent) == 2
    assert most > 1
    say("upgrade", "old", runs=sweep.parent)
    assert alike(content(sweep)) == alike(content(whole))


def alike(files: dict[str, bytes]) -> dict[str, bytes]:
    """What two upgrades must agree in: the places they are at apart."""
    return {name: data for name, data in files.items() if not name.endswith("tracking.json")}


def test_a_process_at_work_or_a_folder_of_the_new_name_stops_it_before_anything_is_done(
    sweep, tmp_path, capsys
) -> None:
    from data_prep.lock import exclusive_lock

    with exclusive_lock(sweep / "launch.lock", lambda: None):
        assert say("upgrade", "old", runs=sweep.parent) == 2
    assert "a launcher is running on old" in capsys.readouterr().err
    copy = tmp_path / "copy" / "old"
    shutil.copytree(sweep, copy)
    say("upgrade", "old", runs=copy.parent)
    name = new_names(copy)[SEED_1].name
    (sweep / name).mkdir()
    before = content(sweep)
    assert say("upgrade", "old", runs=sweep.parent) == 2
    assert f"{SEED_1} is to be renamed to {name}" in capsys.readouterr().err
    assert content(sweep) == before


def test_a_cell_at_work_is_waited_for_by_calling_again(sweep, capsys) -> None:
    from data_prep.lock import exclusive_lock

    with exclusive_lock(sweep / SEED_1 / "lock", lambda: None):
        assert say("upgrade", "old", runs=sweep.parent) == 2
    assert "a process is running in" in capsys.readouterr().err
    assert say("upgrade", "old", runs=sweep.parent) == 0
    assert len(new_names(sweep)) == 3


@pytest.mark.parametrize("word", ["status", "retry"])
def test_commands_on_an_old_sweep_say_how_to_upgrade_it(sweep, capsys, word: str) -> None:
    assert say(word, "old", runs=sweep.parent) == 2
    assert f"python launch/sweep.py upgrade old --runs {sweep.parent}" in capsys.readouterr().err
    if word == "status":
        assert say("status", runs=sweep.parent) == 2
        assert "upgrade SWEEP: old" in capsys.readouterr().out


def test_a_sweep_of_now_has_nothing_to_upgrade(sweep, capsys) -> None:
    say("upgrade", "old", runs=sweep.parent)
    after = content(sweep)
    capsys.readouterr()
    assert say("upgrade", "old", runs=sweep.parent) == 0
    assert capsys.readouterr().out == "the cells of old already have the current names\n"
    assert content(sweep) == after
