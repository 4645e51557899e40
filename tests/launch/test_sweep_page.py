"""The report page of a sweep from its folder: every state of a cell, what was started, measures, curves, failures."""

from __future__ import annotations

import json
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from data_prep.manifest import Manifest
from launch import report
from launch.clusters.resources import Resources
from launch.command_line import parsed
from launch.launch_record import record_launch
from launch.measure_options import Measure
from launch.monitoring.named import SweepFolder
from launch.repeated import command_of
from launch.sweep_options import Sweep
from launch.sweep_page.write import read_sweep
from pipeline.cell import Cell
from pipeline.cells.measurements import Failure, MeasurementKey, Number, Result
from pipeline.pages.report_page import Table
from pipeline.tracking import MetricLog
from pipeline.tracking.state import METRICS_FILE
from tests.pipeline.runs import small_cell, small_run


def column(table: Table, name: str) -> list[Any]:
    place = [each.name for each in table.columns].index(name)
    return [row[place] for row in table.rows]


def trained(cell: Cell, accuracy: float) -> Cell:
    """With a number, a measure that failed, two figures and twenty epochs."""
    key = MeasurementKey(measure="classification", version=1, split="test")
    number = Number(value=accuracy, unit="share", better="higher", count=10)
    Result(key=key, numbers={"classification_accuracy": number}, time="2026-01-01").write(cell.folder)
    Failure(key=MeasurementKey(measure="likelihood", version=1, split="test"), reason="no room").write(
        cell.folder
    )
    cell.figures.mkdir()
    for name in ("swaps", "traversals"):
        Image.new("RGBA", (400, 30)).save(cell.figures / f"{name}.png")
    log = MetricLog(cell.folder / METRICS_FILE)
    for epoch in range(1, 21):
        log.append("epoch", 12 * epoch, {"objective": -1000 / epoch, "epoch": epoch, "images_per_second": 50})
    log.close()
    cell.mark_trained()
    return cell


@pytest.fixture
def sweep(tiny_data_set: Path, tmp_path: Path) -> Path:
    """Two seeds that are trained, one run that failed, one that never began, and one whose data are elsewhere."""
    folder = tmp_path / "runs" / "<script>"
    config = small_run(tiny_data_set, epochs=20)
    cells = [
        trained(small_cell(folder, replace(config, seed=seed)), accuracy)
        for seed, accuracy in enumerate((0.5, 0.7))
    ]
    failed = small_cell(folder, small_run(tiny_data_set, system="m2"))
    failed.give_up("out of memory")
    failed.note_attempt({"ended": "crashed"})
    failed.note_attempt({"ended": "crashed"})
    new = small_cell(folder, small_run(tiny_data_set, rate=1.0))
    foreign = Cell.named(
        folder, replace(config, data=replace(config.data, folder="/other/machine/faces-1a2b")), "digest"
    )
    foreign.write()
    record_launch(
        folder,
        Sweep(recipe="fashion-mnist", runs=folder.parent),
        [each.name for each in (*cells, failed, new)],
    )
    return folder


def test_every_cell_is_there_with_its_state_and_numbers(sweep: Path, tiny_data_set: Path) -> None:
    found = read_sweep(SweepFolder(sweep))
    cells = found.cells
    names = column(cells, "cell")
    assert names == sorted(path.parent.name for path in sweep.glob("*/config.json"))
    heading = [each.name for each in cells.columns]
    rows = [dict(zip(heading, row, strict=True)) for row in cells.rows]
    (failed,) = [row for row in rows if row["state"] == "failed"]
    assert (failed["why"], failed["restarts"], failed["epoch"], failed["of"]) == ("out of memory", 1, 0.0, 4)
    assert sorted(number for number in column(cells, "classification_accuracy") if number) == [0.5, 0.7]
    assert [row["of"] for row in rows if row["epoch"] == 20] == [20, 20]
    why = column(found.failures, "why")
    assert "out of memory" in why
    assert why.count("no room") == 2
    assert "not started" not in why
    assert column(cells, "why").count("not started") == 2

    # Both seeds are of one group and one row, with mean and deviation.
    assert [curve.group for curve in found.curves] == [0, 0]
    assert found.curves[0].terms["objective"][9] == -100
    (accuracy,) = [metric for metric in found.metrics if metric.name == "classification_accuracy"]
    assert accuracy.about == "share, higher is better"
    (value,) = accuracy.values
    assert value.mean == pytest.approx(0.6)
    assert value.n == 2
    assert [figure.href.rpartition("/")[2] for figure in found.pictures.figures] == [
        "swaps.png",
        "traversals.png",
    ] * 2
    assert all(found.pictures.large)


def test_a_learning_rate_that_a_search_has_drawn_is_short_in_the_names_of_lines_and_curves(
    sweep: Path, tiny_data_set: Path
) -> None:
    config = small_run(tiny_data_set, epochs=20)
    drawn = replace(config, optimiser=replace(config.optimiser, learning_rate=0.0012345678901234))
    trained(small_cell(sweep, drawn), 0.6)
    found = read_sweep(SweepFolder(sweep))
    for names in (found.groups, [row.line for row in found.rate_rows]):
        assert len([name for name in names if name.endswith(" learning_rate=0.001235")]) == 1, names

    # Data that are here, with pictures and labels, and data that are not.
    here, elsewhere = sorted(found.data, key=lambda part: part.sheet is None)
    manifest = Manifest.load(tiny_data_set)
    assert here.sheet is not None
    assert here.sheet.startswith(b"RIFF")
    assert len(here.labels.rows) == manifest.labels[0].cardinality
    assert [each.name for each in here.labels.columns] == ["label", *manifest.splits, "used at f=1.0"]
    assert "is missing" in dict(elsewhere.facts)["not shown"]

    # What was started, and how to do it again.
    assert ("recipe", "fashion-mnist") in [(name, text.partition(":")[0]) for name, text in found.started]
    told = dict(found.commands)
    assert told["all of it: what is done is not repeated"].startswith(
        "python launch/sweep.py --recipe fashion-mnist --runs "
    )
    assert told["the cells that failed"].startswith("python launch/sweep.py retry '<script>' --runs ")


def test_the_page_is_written_at_any_time_and_no_name_is_markup(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report.main(["--page", "<script>", "--runs", str(sweep.parent)])
    page = sweep / "report.html"
    assert str(page) in capsys.readouterr().out
    text = page.read_text()
    assert "<script></title>" not in text
    data = json.loads(text.partition('id="data">')[2].partition("</script>")[0])
    assert data["title"] == "<script>"
    assert [len(data["curves"]["cells"]), len(data["figures"])] == [2, 4]


def test_what_a_page_cannot_be_of_is_one_sentence(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments, sentence in (
        (["--page", "no"], "no sweep 'no'"),
        (["--page", "<script>", "--all"], "--page is of the whole sweep"),
        (["--open"], "--open belongs to --page SWEEP"),
    ):
        with pytest.raises(SystemExit) as end:
            report.main([*arguments, "--runs", str(sweep.parent)])
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err


def test_a_recorded_launch_becomes_the_command_that_repeats_it() -> None:
    sweep = Sweep(
        recipe="my recipes.py:mine",
        only=("ccvae-", "f0.06"),
        preflight=False,
        detach=True,
        cluster="slurm",
        resources=Resources(hours=2.5, sbatch={"nice": "10", "reservation": "a b"}),
    )
    measure = Measure(sweep="digits", measures=("likelihood",), split="valid")
    for options, name in ((sweep, "sweep"), (measure, "measure")):
        words = shlex.split(command_of(f"python launch/{name}.py", options))
        assert parsed(type(options), words[2:], prog=name) == options
