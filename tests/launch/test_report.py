"""Reports from the folders of cells: which are counted, what is written, and what is said if there are none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from launch import report
from launch.finish import write_reports
from launch.launch_record import record_launch
from launch.sweep_options import Sweep
from pipeline.cell import Cell
from pipeline.cells.measurements import MeasurementKey, Number, Result
from pipeline.config import RunConfig
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.training.settings import TrainingConfig


def finished(sweep: Path, seed: int, accuracy: float) -> Cell:
    """A trained cell with a number and a picture, that was not tracked."""
    config = RunConfig(
        data=DataConfig(name="mnist", supervision_rate=0.2),
        model=CCVAEConfig(),
        training=TrainingConfig(epochs=100),
        seed=seed,
    )
    cell = Cell.named(sweep, config, "digest")
    cell.write()
    key = MeasurementKey(measure="classification", version=1, split="test")
    number = Number(value=accuracy, unit="share", better="higher", count=10)
    Result(key=key, numbers={"classification_accuracy": number}, time="2026-01-01").write(cell.folder)
    cell.figures.mkdir()
    Image.new("RGB", (4, 4)).save(cell.figures / "traversal_plane_digit.png")
    cell.mark_trained()
    return cell


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed, accuracy in enumerate((0.9, 0.94)):
        finished(tmp_path / "runs" / "digits", seed, accuracy)
    return tmp_path / "runs"


def command(*arguments: object) -> None:
    report.main([str(each) for each in arguments])


def test_a_table_and_a_figure_are_written_with_their_runs(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("ccvae-table6", "ccvae-figure21", "--runs", runs)
    said = capsys.readouterr().out
    assert "| ccvae | ours |  |  | 0.920 ± 0.028 (n=2) |  |" in said
    table, figure = runs / "reports" / "ccvae-table6", runs / "reports" / "ccvae-figure21"
    assert sorted(file.name for file in table.iterdir()) == ["report.csv", "report.md", "report.png"]
    assert (table / "report.md").read_text() in said
    (picture,) = figure.glob("*.png")
    assert picture.name == "mnist-ccvae-traversal_plane_digit.png"
    text = (figure / "report.md").read_text()
    assert f"({picture.name})" in text
    assert "no run of ccvae on fashion_mnist: python launch/sweep.py --recipe fashion-mnist" in text
    assert "ccvae-mnist-f0.2-seed0" in (figure / "report.csv").read_text()


def test_all_makes_what_has_runs_and_names_the_rest(
    runs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command("--all", "--runs", runs, "--out", tmp_path / "paper")
    said = capsys.readouterr().out
    assert "table 6" in said
    (rest,) = [line for line in said.splitlines() if line.startswith("without any run: ")]
    assert "csvae-table1" in rest
    assert "ccvae-table6" not in rest


def test_a_sweep_ends_with_the_reports_of_its_recipe_from_its_own_runs(
    runs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    finished(runs / "others", 7, 0.1)
    record_launch(runs / "digits", Sweep(recipe="mnist"), ["ccvae"])
    write_reports(runs / "digits")
    folder = runs / "digits" / "reports"
    assert f"reports in {folder}: ccvae-table6, ccvae-figure21\n" in capsys.readouterr().out
    assert "0.920 ± 0.028 (n=2)" in (folder / "ccvae-table6" / "report.md").read_text()


def test_list_names_every_report(capsys: pytest.CaptureFixture[str]) -> None:
    command("--list")
    assert "ccvae-table2  " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ((), "no report is named: --list shows them all"),
        (("ccvae-tabel2",), "there is no report 'ccvae-tabel2'; did you mean ccvae-table2?"),
        (("ccvae-table2", "--sweep", "no"), "there is no folder"),
    ],
)
def test_what_cannot_be_is_one_sentence(
    runs: Path, arguments: tuple[str, ...], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        command(*arguments, "--runs", runs)
    assert ended.value.code == 2
    assert sentence in capsys.readouterr().err
