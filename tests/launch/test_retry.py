from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from launch import retry as retrying
from launch.clusters.resources import Resources
from launch.launch_record import ASKED_FILE, describe_options, record_launch, recorded_launches
from launch.plan import DataPlaces
from launch.sweep import main
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from tests.done_cells import make_done
from tests.launch import tiny_sweep  # noqa: F401  (adds its recipes)
from tests.launch.monitoring.sweeps import make_cells, say

ASKED = Sweep(
    recipe="tiny",
    cluster="slurm",
    only=("ccvae-",),
    runs=Path("runs"),
    places=DataPlaces(raw=Path("raw")),
    resources=Resources(hours=2.5, gpus_per_node=2),
)


@pytest.fixture
def again(monkeypatch) -> list[Sweep]:
    """Records what would be launched."""
    asked: list[Sweep] = []

    def launch(options: Sweep, cells: list[Cell]) -> int:
        assert tuple(cell.name for cell in cells) == options.only
        asked.append(options)
        return 0

    monkeypatch.setattr(retrying, "run_sweep", launch)
    return asked


def test_recorded_options_have_absolute_paths(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    record_launch(tmp_path, ASKED, ["a", "b"])
    places = replace(ASKED.places, raw=tmp_path / "raw", data_root=tmp_path / "data")
    (launch,) = recorded_launches(tmp_path, Sweep, ["b"])
    assert launch.cells == ("b",)
    assert launch.options == replace(ASKED, runs=tmp_path / "runs", places=places)


def test_each_cell_has_the_options_of_its_latest_launch(tmp_path):
    later = replace(ASKED, resources=Resources(hours=8.0))
    record_launch(tmp_path, ASKED, ["a", "b", "c"])
    record_launch(tmp_path, later, ["b", "d"])
    record_launch(tmp_path, later, ["d"])
    first, second = recorded_launches(tmp_path, Sweep, ["a", "b", "c"])
    assert (first.cells, first.options.resources.hours) == (("a", "c"), 2.5)
    assert (second.cells, second.options.resources.hours) == (("b",), 8.0)
    assert len(json.loads((tmp_path / ASKED_FILE).read_bytes())) == 3
    record_launch(tmp_path, later, ["a", "b", "c", "d"])
    assert (
        len(json.loads((tmp_path / ASKED_FILE).read_bytes())) == 1
    )  # none of the earlier ones counts anymore


def test_described_options_are_those_that_differ_from_their_defaults():
    words = "recipe tiny, cluster slurm, only ccvae-, raw raw, gpus-per-node 2, hours 2.5"
    assert describe_options(ASKED) == words
    assert describe_options(ASKED, without=("only", "raw")) == words.replace("only ccvae-, raw raw, ", "")
    assert describe_options(Sweep()) == ""


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "does not say how a was started"),
        ("[]", "does not say how a was started"),
        ('[{"time": "now", "cells": ["b"], "options": {}}]', "does not say how a was started"),
        ('[{"time": "now", "cells": ["a"], "options": {"cluster": "moon"}}]', "cluster: Input should be 'local'"),
    ],
)  # fmt: skip
def test_a_damaged_record_is_reported_in_one_sentence(tmp_path, text, said):
    (tmp_path / ASKED_FILE).write_text(text)
    with pytest.raises(LaunchError, match=r"asked\.json.*; run the sweep's own command again") as error:
        recorded_launches(tmp_path, Sweep, ["a"])
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_only_failed_cells_are_started_again_with_the_former_resources(tmp_path, again, capsys):
    sweep = tmp_path / "elsewhere" / "tiny"
    done, failed, also_failed, open_cell = make_cells(sweep, 4)
    record_launch(sweep, ASKED, [cell.name for cell in (done, failed, also_failed, open_cell)])
    make_done(done)
    failed.give_up("a reason")
    make_done(also_failed)  # by a launch of the sweep: nothing else was measured
    also_failed.give_up("another")
    assert say("retry", "tiny", runs=sweep.parent) == 0
    assert say("retry", "tiny", "seed2", "--detach", runs=sweep.parent) == 0
    first, second = again
    assert first.only == (failed.name, also_failed.name)
    assert (first.name, first.runs) == ("tiny", sweep.parent)
    assert (first.recipe, first.cluster, first.resources) == (ASKED.recipe, "slurm", ASKED.resources)
    assert (second.only, second.detach, first.detach) == ((also_failed.name,), True, False)
    said = capsys.readouterr().out
    assert "2 failed cells of tiny again, with the options of 20" in said
    assert "cluster slurm, raw " in said
    assert "gpus-per-node 2, hours 2.5)\n" in said

    assert say("retry", "tiny", "seed3", runs=sweep.parent) == 2
    assert f"only failed cells are started again, but {open_cell.name} is stopped" in capsys.readouterr().err
    assert len(again) == 2


def test_failed_cells_of_two_launches_keep_their_options_except_the_new_ones(
    tmp_path, again, capsys, monkeypatch
):
    watched: list[str] = []

    def watch(sweep, console) -> int:
        watched.append(sweep.path.name)
        return 0

    monkeypatch.setattr(retrying, "watch", watch)
    first, second = make_cells(tmp_path / "tiny", 2)
    record_launch(tmp_path / "tiny", ASKED, [first.name, second.name])
    later = replace(ASKED, epochs=7, resources=Resources(memory_gb=16.0))
    record_launch(tmp_path / "tiny", later, [second.name])
    for cell in (first, second):
        cell.give_up("out of memory")
    assert say("retry", "tiny", "--memory-gb", "64", runs=tmp_path) == 0
    one, other = again
    assert (one.only, one.epochs, one.resources) == (
        (first.name,),
        None,
        Resources(hours=2.5, gpus_per_node=2, memory_gb=64.0),
    )
    assert (other.only, other.epochs, other.resources) == ((second.name,), 7, Resources(memory_gb=64.0))
    # Neither waits for the other; then both are watched.
    assert (one.detach, other.detach, watched) == (True, False, ["tiny"])
    said = capsys.readouterr().out
    assert said.count("and now memory-gb 64.0\n") == 2
    assert "epochs 7" in said.splitlines()[1]


def test_where_nothing_failed_nothing_is_started(tmp_path, again, capsys):
    (cell,) = make_cells(tmp_path / "tiny", 1)
    make_done(cell)
    assert say("retry", "tiny", runs=tmp_path) == 0
    assert capsys.readouterr().out == "no cell of tiny has failed\n"
    assert not again


def test_a_sweep_without_recorded_options_is_reported_in_one_sentence(tmp_path, capsys):
    (cell,) = make_cells(tmp_path / "tiny", 1)
    cell.give_up("a reason")
    assert say("retry", "tiny", runs=tmp_path) == 2
    assert "asked.json does not say how" in capsys.readouterr().err


@pytest.mark.slow
def test_a_retried_cell_gets_another_attempt_and_no_other_cell_does(tiny_raw, tmp_path, capsys):
    runs = tmp_path / "runs"
    places = ["--raw", str(tiny_raw), "--data-root", str(tmp_path / "data"), "--runs", str(runs)]
    with pytest.raises(SystemExit) as end:
        main(["--recipe", "diverging", "--only", "m2-", "--ranks", "1", *places])
    assert end.value.code == 1
    failed = next((runs / "diverging").glob("m2-*"))
    (good,) = make_cells(runs / "diverging", 1)
    make_done(good)
    capsys.readouterr()
    assert say("retry", "diverging", runs=runs) == 1
    assert re.search(r"m2-\S+ failed: the objective is", capsys.readouterr().out)
    endings = [json.loads(line)["ended"] for line in (failed / "attempts.jsonl").read_text().splitlines()]
    assert endings == ["failed", "forgiven", "failed"]
    assert sorted(path.name for path in good.folder.iterdir()) == ["TRAINED", "config.json", "measures"]
