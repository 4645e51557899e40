"""A search of trials that are trained by nobody: their number is a function of their values."""

from __future__ import annotations

import csv
import math
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from launch.clusters.backend import State
from launch.command_line import parsed
from launch.measure_options import Measure
from launch.search import rounds
from launch.sweep import main
from pipeline.cell import Cell
from pipeline.cells.measurements import Number, Result
from pipeline.config import flat
from pipeline.measures.plan import planned

SEARCH = (
    "--recipe", "drawn-faces-quick", "--only", "m2-drawn_faces-f1-", "--name", "found", "--cluster", "debug",
    "--search", "optimiser.learning_rate=1e-4..1e-2:log", "model.latent_size=5..50",
    "--objective", "classification/classification_accuracy", "--split", "valid",
)  # fmt: skip
HEIGHT = 0.9


def accuracy(cell: Cell) -> float:
    """Best at 1e-3 and 20 latents; better with more epochs."""
    known = flat(cell.config)
    distance = (math.log10(known["optimiser.learning_rate"]) + 3) ** 2
    distance += ((known["model.latent_size"] - 20) / 30) ** 2
    return float(HEIGHT - 0.3 * distance - 0.1 / known["training.epochs"])


class Launches:
    """Stands in for what trains and measures cells: some fail, some are stopped, and a launcher may be."""

    def __init__(self) -> None:
        self.cells: list[list[Cell]] = []
        self.ends: Callable[[Cell], State] = lambda cell: State("done")
        self.stops_in_round = 0
        self.bad_from_round = 1000

    def __call__(self, options: Any, cells: Iterable[Cell], *rest: Any, **also: Any) -> dict[str, State]:
        self.cells.append(list(cells))
        if len(self.cells) == self.stops_in_round:
            raise SystemExit(130)
        states = {cell.name: self.ends(cell) for cell in self.cells[-1]}
        for cell in self.cells[-1]:
            (entry,) = planned(cell.measures_config())
            assert entry.key.split == "valid"
            value = accuracy(cell) - (len(self.cells) >= self.bad_from_round)
            number = Number(value=value, unit="share", better="higher")
            if states[cell.name].phase == "done":
                Result(key=entry.key, numbers={"classification_accuracy": number}).write(cell.folder)
        return states


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Launches:
    fake = Launches()
    monkeypatch.setattr(rounds, "run_cells", fake)
    monkeypatch.setattr(rounds, "finish", lambda sweep, cells: None)
    return fake


def search(runs: Path, *more: str) -> int:
    """Run it; what is given here replaces what ``SEARCH`` has, and a range is one more."""
    arguments = [*SEARCH]
    for flag in {text for text in more if text in SEARCH and text.startswith("--")} - {"--search"}:
        place = arguments.index(flag)
        del arguments[place : place + 2]
    with pytest.raises(SystemExit) as end:
        main([*arguments, *more, "--runs", str(runs), "--data-root", str(runs / "data")])
    return int(end.value.code or 0)


def table(runs: Path) -> list[dict[str, str]]:
    with (runs / "found" / "search" / "trials.csv").open() as file:
        return list(csv.DictReader(file))


def test_trials_of_a_round_differ_and_the_best_is_near_the_optimum(
    launches: Launches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert search(tmp_path, "--trials", "8", "--dry-run") == 0
    described = capsys.readouterr().out
    assert (
        "classification/classification_accuracy on valid is maximized (a search never measures test)"
        in described
    )
    assert not (tmp_path / "found").exists()
    assert search(tmp_path, "--trials", "16") == 0
    printed = capsys.readouterr().out
    assert [len(cells) for cells in launches.cells] == [4, 4, 4, 4]
    first = launches.cells[0]
    assert all(cell.name in described for cell in first[:1])
    assert len({cell.name for cells in launches.cells for cell in cells}) == 16
    rows = table(tmp_path)
    values = [float(row["classification/classification_accuracy"]) for row in rows]
    assert [row["state"] for row in rows] == ["complete"] * 16
    assert max(values) > 0.8
    assert f"best: trial {values.index(max(values))}, classification/classification_accuracy" in printed
    command = shlex.split(printed.partition("to test it: ")[2].splitlines()[0])
    measuring = parsed(Measure, command[2:], prog="measure.py")
    assert (measuring.sweep, measuring.split, len(measuring.cells)) == ("found", "test", 1)
    for figure in ("history.png", "landscape.png"):
        assert (tmp_path / "found" / "search" / figure).stat().st_size > 10_000

    assert search(tmp_path, "--trials", "17") == 0  # one more
    assert [len(cells) for cells in launches.cells][4:] == [1]
    assert search(tmp_path, "--trials", "17", "--objective", "likelihood/elbo") == 2
    assert "begun with other settings (--objective was classification/" in capsys.readouterr().err


def test_an_interrupted_search_is_resumed_as_if_it_had_not_been(launches: Launches, tmp_path: Path) -> None:
    assert search(tmp_path / "whole", "--trials", "8") == 0
    launches.cells.clear()
    launches.stops_in_round = 2
    assert search(tmp_path / "parts", "--trials", "8") == 130
    launches.stops_in_round = 0
    left = [cell.name for cell in launches.cells[1]]
    assert search(tmp_path / "parts", "--trials", "8") == 0
    assert [cell.name for cell in launches.cells[2]] == left
    assert table(tmp_path / "parts") == table(tmp_path / "whole")


def test_trials_that_are_worse_than_the_median_end_early_and_failed_ones_do_not_count(
    launches: Launches, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    diverging: list[str] = []

    def ends(cell: Cell) -> State:
        if not diverging:
            diverging.append(cell.name)
        return State("failed", "the objective is nan at step 3") if cell.name in diverging else State("done")

    launches.ends = ends
    launches.bad_from_round = 7
    assert search(tmp_path, "--trials", "12", "--prune-after", "1", "2") == 0
    epochs = [{cell.config.training.epochs for cell in cells} for cells in launches.cells]
    assert epochs == [{1}, {2}, {5}, {1}, {2}, {5}, {1}]
    assert [len(cells) for cells in launches.cells] == [4, 3, 3, 4, 4, 4, 4]  # without the one that failed
    rows = table(tmp_path)
    states = [row["state"] for row in rows]
    assert (states[0], rows[0]["why"]) == ("fail", "the objective is nan at step 3")
    assert states == ["fail"] + 7 * ["complete"] + 4 * ["pruned"]
    assert {row["epochs"] for row in rows[8:]} == {"1"}
    printed = capsys.readouterr().out
    assert "is pruned after" in printed
    assert "failed: the objective is nan at step 3" in printed
    launches.ends = lambda cell: State("stopped", "cancelled")
    assert search(tmp_path, "--trials", "13", "--prune-after", "1", "2") == 1
    assert "stopped; run the same command to resume the search" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--split", "test"], "a search never measures the test split, since"),
        (["--objective", "classification/acuracy"], "did you mean"),
        (["--objective", "clasification/classification_accuracy"], "there is no measure 'clasification'"),
        (["--objective", "classification/classified_labels"], "neither more nor less of it is better"),
        (["--search", "optimiser.learning_rte=1..2"], "--search optimiser.learning_rte: no run of the recipe has"),
        (["--search", "optimiser.weight_decay=2..1"], "LOW must be below HIGH"),
        (["--search", "optimiser.weight_decay=0..1:log"], "on a logarithmic scale LOW must be above 0"),
        (["--search", "model.hidden_width=0.5..3"], "model.hidden_width: Input should be a valid integer"),
        (["--search", "optimiser.weight_decay=-1..1"], "weight_decay is -1.0; it must not be negative"),
        (["--search", "training.precision=float32"], "one value is nothing to search"),
        (["--search", "seed=0..9"], "the best of these would mean nothing"),
        (["--set", "model.latent_size=3"], "--search and --set both give model.latent_size"),
        (["--prune-after", "9"], "each larger than the one before, below the run's 5"),
        (["--only", "m2-", "--set", "seed=0"], "a search varies one run, but drawn-faces-quick has 4 (m2-"),
        (["--measures", "likelihood"], "measures the trials' objective only"),
        (["--raw", "RAW", "--set", "data.name=idx_folder", "data.options=[]", "--only", "m2-idx_folder-f1-"],
         "idx_folder has no split valid; there are: train, test"),
    ],
)  # fmt: skip
def test_what_cannot_be_searched_is_one_sentence(
    launches: Launches,
    tmp_path: Path,
    tiny_raw: Path,
    capsys: pytest.CaptureFixture[str],
    more: list[str],
    sentence: str,
) -> None:
    assert search(tmp_path, *(str(tiny_raw) if text == "RAW" else text for text in more)) == 2
    errors = capsys.readouterr().err
    assert errors.count("\n") == 1
    assert sentence in errors
    assert not launches.cells
    assert not (tmp_path / "found").exists()
