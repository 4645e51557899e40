"""``launch/explore.py``: the page is written next to the run, and in MLflow; what cannot be explored is told."""

from __future__ import annotations

import os
import webbrowser
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from launch import explore
from launch.explorers import write_explorers
from pipeline.cell import Cell
from pipeline.data.dataset import DataSet
from pipeline.models.interface import DataSpec
from pipeline.models.label_reader import LabelReaderConfig
from pipeline.training import checkpoint
from tests.pipeline.runs import small_cell, small_run
from tests.pipeline.tracking.bench import Bench
from tests.pipeline.tracking.stores import quiet_mlflow


def with_checkpoint(cell: Cell) -> Cell:
    """As after twelve of its steps, untrained."""
    torch.manual_seed(0)
    data = DataSet(Path(cell.config.data.folder))
    model = cell.config.model.build(DataSpec.of(data.manifest))
    checkpoint.save(cell.checkpoints, 12, {"model": model.state_dict(), "step": 12}, keep=1)
    return cell


def command(*arguments: object) -> None:
    explore.main([str(each) for each in arguments])


@quiet_mlflow
def test_the_page_is_in_the_run_s_folder_and_its_artifacts(
    tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    bench = Bench(tmp_path)
    cell = with_checkpoint(small_cell(bench.runs / "sweep", small_run(tiny_data_set)))
    with bench.tracker(cell.folder):
        pass
    command("sweep", "ccvae", "--runs", bench.runs, "--open", "--pictures", "5")
    page = cell.folder / "explorer.html"
    said = capsys.readouterr().out
    assert said.startswith(str(page))
    assert "not sent" not in said
    assert opened == [page.as_uri()]
    text = page.read_text()
    assert cell.name in text
    assert f"step 12 of {cell.last_step()}, not finished" in text
    assert '"rows":[0,' in text
    (run,) = bench.cells()
    assert "explorer.html" in [item.path for item in bench.client.list_artifacts(run)]


def test_what_cannot_be_explored_is_told_in_one_sentence(
    tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_run(tiny_data_set)
    sweep = tmp_path / "runs" / "sweep"
    new = small_cell(sweep, config)
    reader = with_checkpoint(small_cell(sweep, replace(config, model=LabelReaderConfig(channels=4))))
    page = tmp_path / "page.html"
    for arguments, sentence in (
        ((new.folder,), f"{new.folder} has no checkpoint yet, so there is nothing to explore"),
        ((reader.folder, "--out", page), "a page cannot run the system LabelReader"),
        (
            (reader.folder, "--split", "holiday"),
            "idx_folder has no split holiday; there are: train, test",
        ),
        (("sweep", "--runs", sweep.parent), f"sweep has 2 runs: name one after it, such as {new.name}"),
        ((reader.folder, "--pictures", "0"), "--pictures is 0; it must be at least 1"),
    ):
        with pytest.raises(SystemExit) as end:
            command(*arguments)
        assert end.value.code == 2
        assert sentence in capsys.readouterr().err
    assert not page.exists()


def test_a_sweep_s_explorers_are_made_once_for_each_training_and_what_has_none_is_passed_over(
    tiny_data_set: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = small_run(tiny_data_set)
    cells = [
        with_checkpoint(small_cell(tmp_path / "sweep", each))
        for each in (config, replace(config, model=LabelReaderConfig(channels=4)))
    ]
    cells += [small_cell(tmp_path / "sweep", replace(config, seed=1))]
    for cell in cells[:2]:
        cell.mark_trained()
    page = cells[0].folder / "explorer.html"
    assert write_explorers(cells) == [page]
    assert "a page cannot run the system LabelReader" in capsys.readouterr().out
    page.write_text("as it was")
    assert write_explorers(cells) == [page]
    assert page.read_text() == "as it was"
    os.utime(page, (0, 0))
    write_explorers(cells[:1])
    assert cells[0].name in page.read_text()
