from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from launch.clusters.backend import Phase, State
from launch.monitoring.progress import Progress, ProgressReader
from launch.monitoring.table import chosen, short_names
from launch.monitoring.watch import Watch, failures, picture
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import MeasurementKey, Number, Result


def cell(sweep: Path, number: int, epochs: int = 100) -> CellFolder:
    folder = sweep / f"ccvae-fashion_mnist-f0.06-seed{number}-{number * 7919:08x}"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({"training": {"epochs": epochs}}))
    return CellFolder(folder)


def log(cell: CellFolder, kind: str, step: int, **metrics: float | str) -> None:
    point = {"kind": kind, "step": step, "time_ms": 0, "metrics": metrics}
    with (cell.folder / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(point) + "\n")


def measured(cell: CellFolder, measure: str, split: str, version: int = 1, **values: float) -> None:
    key = MeasurementKey(measure=measure, version=version, split=split)
    numbers = {name: Number(value=value, unit="share", better="higher") for name, value in values.items()}
    Result(key=key, numbers=numbers).write(cell.folder)


def text_of(sweep, width: int, room: int, note: str = "") -> list[str]:
    cells, states = sweep
    console = Console(width=width, height=room + 4, record=True, file=io.StringIO())
    console.print(picture(cells, states, ProgressReader(), width, room, note))
    return console.export_text().splitlines()


@pytest.fixture
def five(tmp_path) -> tuple[list[CellFolder], dict[str, State]]:
    cells = [cell(tmp_path, number) for number in range(5)]
    log(cells[0], "epoch", 12, epoch=12.0, objective=-261.5, images_per_second=2345.6)
    cells[4].mark_trained()
    measured(cells[4], "likelihood", "test", elbo=-250.0)
    measured(cells[4], "classification", "test", classification_accuracy=0.9321)
    measured(cells[4], "classification", "train", classification_accuracy=0.9999)
    states = [
        State("training", node="n1", restarts=2, time_left="23:12:09"),
        State("waiting", "QOSMaxJobsPerUserLimit (a limit of the QOS is reached)"),
        State("failed", "the objective is nan at step 43; lower the learning rate"),
        State("stopped", "CANCELLED by root"),
        State("done"),
    ]
    return cells, {one.name: state for one, state in zip(cells, states, strict=True)}


def test_progress_is_read_from_the_end_of_the_log(tmp_path):
    one = cell(tmp_path, 0, epochs=7)
    reader = ProgressReader()
    assert reader.read(one) == Progress(epochs=7)
    log(one, "epoch", 5, epoch=1.0, objective=-3.0, images_per_second=99.0)
    for sample in range(300):  # samples of the node's load, more than the first read holds
        log(one, "system", sample, cpu_utilization_percentage=100.0, memory=1.0)
    log(one, "train", 8, epoch=1.6, objective="NaN")
    with (one.folder / "metrics.jsonl").open("a") as file:
        file.write('{"kind": "train", "st')
    seen = reader.read(one)
    assert (seen.epoch, seen.images_per_second) == (1.6, 99.0)
    assert str(seen.metric) == "('objective', nan)"


def test_a_trained_cell_shows_what_was_measured_on_its_own_split_in_its_newest_version(tmp_path):
    one, reader = cell(tmp_path, 0), ProgressReader()
    log(one, "epoch", 12, epoch=12.0, objective=-261.5)
    one.mark_trained()
    assert reader.read(one).metric == ("objective", -261.5)
    measured(one, "classification", "train", classification_accuracy=0.9)
    assert reader.read(one).metric == ("objective", -261.5)
    measured(one, "classification", "test", version=2, classification_accuracy=0.8)
    measured(one, "classification", "test", version=1, classification_accuracy=0.7)
    assert (reader.read(one).epoch, reader.read(one).metric) == (12.0, ("classification_accuracy", 0.8))


def test_an_unchanged_log_is_not_read_again(tmp_path, monkeypatch):
    one, reader = cell(tmp_path, 0), ProgressReader()
    log(one, "train", 1, epoch=0.5, objective=1.0)
    before = reader.read(one)
    monkeypatch.setattr(Path, "open", lambda *_, **__: pytest.fail("it was read again"))
    assert reader.read(one) is before


def test_a_wide_terminal_shows_everything(five):
    heading, training, waiting, failed, stopped, done, counts = text_of(five, width=200, room=20)
    names = ["cell", "state", "epoch", "images/s", "metric", "restarts", "node", "left"]
    assert heading.split() == names
    words = training.split()
    assert words[0].endswith("seed0-00000000")
    assert [word for word in words[1:] if "━" not in word] == [
        "training", "12/100", "2,346", "-261.5", "objective", "2", "n1", "23:12:09",
    ]  # fmt: skip
    assert "QOSMaxJobsPerUserLimit (a limit of the QOS is reached)" in waiting
    assert "the objective is nan at step 43" in failed
    assert "CANCELLED by root" in stopped
    assert "0.9321 classification_accuracy" in done
    assert counts == "5 cells: 1 training, 1 failed, 1 stopped, 1 waiting, 1 done"


@pytest.mark.parametrize("width", [60, 80, 100, 132, 180])
def test_every_line_fits_and_cells_stay_distinct(five, width):
    lines = text_of(five, width=width, room=20, note="compare: Dependency (waits for the jobs before it)")
    assert max(map(len, lines)) <= width
    for number in range(5):
        assert sum(f"seed{number}" in line for line in lines) == 1
    assert not any("…" in line.split("  ")[0] for line in lines[1:6])  # names and states are complete


def test_eighty_columns_move_the_rest_into_the_sentence(five):
    training, waiting = text_of(five, width=80, room=20)[1:3]
    assert training.split()[:3] == ["ccvae-fashion_mnist-f0.06-seed0", "training", "12/100"]
    assert "2,346 images/s" in training
    assert "QOSMaxJobsPerUserLimit" in waiting


def test_a_thousand_cells_stay_within_the_terminal_the_most_interesting_first(tmp_path):
    cells = [cell(tmp_path, number) for number in range(1000)]
    counts: dict[Phase, int] = {"waiting": 900, "done": 60, "training": 37, "failed": 3}
    phases = [phase for phase, count in counts.items() for _ in range(count)]
    states = {
        one.name: State(phase, "busy" * (phase == "waiting"))
        for one, phase in zip(cells, phases, strict=True)
    }
    lines = text_of((cells, states), width=120, room=20)
    assert len(lines) == 1 + 20 + 1 + 1
    assert sum(" failed" in line for line in lines[1:21]) == 3
    assert sum(" training" in line for line in lines[1:21]) == 17
    rest = "and 980 more: 20 training, 900 waiting, 60 done; most of them wait because: busy"
    assert lines[-2:] == [rest, "1,000 cells: 37 training, 3 failed, 900 waiting, 60 done"]


def test_neither_failed_nor_running_cells_push_the_others_out():
    states = {f"f{n}": State("failed") for n in range(50)} | {f"t{n}": State("training") for n in range(50)}
    shown = chosen(states, 10)
    assert sorted(name[0] for name in shown) == ["f"] * 5 + ["t"] * 5
    assert chosen({"a": State("done"), "b": State("waiting")}, 2) == ["a", "b"]


def test_names_lose_their_hash_only_if_they_stay_distinct():
    assert short_names(["a-seed0-11111111", "a-seed0-22222222", "b-seed0-33333333"]) == [
        "a-seed0-11111111",
        "a-seed0-22222222",
        "b-seed0",
    ]


def test_without_a_terminal_there_is_a_line_per_change(five, capsys):
    cells, states = five
    with Watch(cells) as watch:
        watch.show(states)
        first = capsys.readouterr().out.splitlines()
        watch.show(states, note="squeue does not answer")
        watch.show(states, note="squeue does not answer")
        assert capsys.readouterr().out == "squeue does not answer\n"
        log(cells[0], "train", 13, epoch=12.4, objective=-261.5)
        watch.show(states)
        assert capsys.readouterr().out == ""
        log(cells[0], "epoch", 13, epoch=13.0, objective=-261.5)
        watch.show(states | {cells[1].name: State("waiting", "other jobs come first")})
        changed = capsys.readouterr().out.splitlines()
    assert len(first) == 5
    assert first[0] == f"{cells[0].name}  training  epoch 12/100  on n1  restarts 2"
    assert changed == [
        f"{cells[0].name}  training  epoch 13/100  on n1  restarts 2",
        f"{cells[1].name}  waiting  other jobs come first",
    ]


def test_many_cells_do_not_report_every_epoch(tmp_path, capsys):
    cells = [cell(tmp_path, number) for number in range(21)]
    states = {one.name: State("training") for one in cells}
    with Watch(cells) as watch:
        for epoch in range(1, 12):
            log(cells[0], "epoch", epoch, epoch=float(epoch), objective=0.0)
            watch.show(states)
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith(cells[0].name)]
    assert [line.split()[-1] for line in lines] == ["1/100", "10/100"]


def test_a_failed_cell_is_reported_with_the_path_of_its_logs(five):
    (line,) = failures(five[1], five[0])
    assert "seed2" in line
    assert line.endswith(f"{five[0][2].folder / 'log'})")
