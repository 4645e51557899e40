"""Label readers are named in every run, and trained once for all that need them, before what rests on them is measured."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from launch.clusters.slurm.register import Register
from launch.plan import DataPlaces, located, planned_cells
from launch.readers import needed_readers, reader_cells, untrained_readers, with_readers
from launch.recipes.label_readers import label_readers
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Result, results
from pipeline.data.settings import DataConfig
from pipeline.measures.plan import is_done, planned
from pipeline.models.label_reader import LabelReaderConfig
from tests.launch.tiny_sweep import judged, tiny
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def places(tiny_raw: Path, tmp_path: Path) -> list[str]:
    return ["--raw", str(tiny_raw), "--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]


def launcher(places: list[str], name: str, *options: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.launch.tiny_sweep", "--recipe", "judged", "--name", name]
    return subprocess.Popen([*command, *places, *options], cwd=ROOT, stdout=subprocess.DEVNULL)


def readers_in(runs: Path) -> list[CellFolder]:
    return [CellFolder(file.parent) for file in sorted(runs.glob("readers-*/*/config.json"))]


def times_started(reader: CellFolder) -> int:
    return reader.log_file("train", 0).read_text().count("resuming from") + reader.log_file(
        "train", 0
    ).read_text().count("loader: ")


def test_an_ensemble_has_three_seeds_and_a_quick_one_is_alone_and_digits_are_not_mirrored() -> None:
    full, quick = (
        label_readers(DataConfig(name="celeba", supervision_rate=0.1), quick=q) for q in (False, True)
    )
    assert [run.seed for run in full] == [0, 1, 2]
    assert {run.data.supervision_rate for run in full} == {1.0}
    assert len(quick) == 1
    assert quick[0].training.epochs < full[0].training.epochs
    flips = {
        name: [
            run.model.flips
            for run in label_readers(DataConfig(name=name))
            if isinstance(run.model, LabelReaderConfig)
        ]
        for name in ("mnist", "pictures", "fashion_mnist")
    }
    assert flips == {"mnist": [False] * 3, "pictures": [False] * 3, "fashion_mnist": [True] * 3}


def test_every_run_names_the_readers_of_its_data_and_only_missing_ones_are_needed(
    tiny_raw: Path, tmp_path: Path
) -> None:
    places, runs = DataPlaces(raw=tiny_raw, data_root=tmp_path / "data"), tmp_path / "runs"
    named = with_readers(located([*judged(), *tiny()], places), runs, tiny_raw)
    quick, full, _ = (run.measures.readers for run in named)
    digest = Path(named[0].data.folder).name.rpartition("-")[2]
    assert {Path(folder).parent.name for folder in quick} == {f"readers-quick-idx_folder-{digest[:8]}"}
    assert {Path(folder).parent.name for folder in full} == {f"readers-idx_folder-{digest[:8]}"}
    assert (len(quick), len(full)) == (1, 3)
    (cell, *others) = planned_cells(named, runs / "s")
    assert needed_readers(others) == []  # no measure of theirs rests on them
    (reader,) = needed_readers([cell, *others])
    assert str(reader.folder) == quick[0]
    assert untrained_readers(cell) == [reader.folder]
    reader.folder.mkdir(parents=True)
    reader.mark_trained()
    assert untrained_readers(cell) == []
    assert needed_readers([cell]) == [reader]  # its own measures are missing
    cell.folder.mkdir(parents=True)
    Result(key=planned(cell.config.measures)[1].key).write(cell.folder)
    assert needed_readers([cell]) == []
    assert reader_cells(replace(named[0].data, supervision_rate=0.3), True, runs) == [reader]


def test_data_without_labels_have_no_readers(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    roll = replace(
        tiny()[0], data=DataConfig(name="swiss_roll", folder=str(tmp_path / "swiss_roll-0123456789abcdef"))
    )
    (run,) = with_readers([roll], tmp_path / "runs")
    assert run.measures.readers == ()


@pytest.mark.slow(90)
def test_two_sweeps_at_once_train_the_reader_once(places: list[str], tmp_path: Path) -> None:
    sweeps = [launcher(places, name, "--max-parallel", "1") for name in ("a", "b")]
    assert [sweep.wait(600) for sweep in sweeps] == [0, 0]
    (reader,) = readers_in(tmp_path / "runs")
    assert is_done(reader)
    assert times_started(reader) == 1
    for name in ("a", "b"):
        (cell,) = (CellFolder(file.parent) for file in (tmp_path / "runs" / name).glob("*/config.json"))
        assert is_done(cell)
        found = {result.key.measure: result for result in results(cell.folder)}
        assert found["generation_accuracy"].key.rests_on == {"label_readers": reader.name.rpartition("-")[2]}
        assert 0 <= found["generation_accuracy"].numbers["reader_accuracy"].value <= 1


@pytest.mark.slow(95)
@pytest.mark.slurm
def test_on_slurm_measuring_waits_for_the_readers_jobs_and_two_sweeps_share_them(
    slurm_cluster, places: list[str], tmp_path: Path
) -> None:
    on_slurm = ("--cluster", "slurm", "--hours", "0.2")
    assert launcher(places, "a", *on_slurm, "--detach").wait(300) == 0
    (reader,) = readers_in(tmp_path / "runs")
    register = Register(reader.folder.parent)
    (training,) = register.in_stages(["train"])
    assert launcher(places, "b", *on_slurm, "--no-preflight").wait(600) == 0
    assert len(Register(reader.folder.parent).in_stages(["train"])) == 1
    assert is_done(reader)
    assert times_started(reader) == 1
    for name in ("a", "b"):
        (measuring,) = Register(tmp_path / "runs" / name).in_stages(["evaluate"])
        script = Path(measuring.folder, "submission.sh").read_text()
        assert name == "b" or f"afterany:{training.job}" in script
        (cell,) = (CellFolder(file.parent) for file in (tmp_path / "runs" / name).glob("*/config.json"))
        wait_for(partial(is_done, cell))
