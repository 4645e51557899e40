from __future__ import annotations

import csv
import math
import re
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from mlflow.entities import Metric, Param

from launch.compare import main
from launch.finish import finish
from pipeline.cell import Cell
from pipeline.config import RunConfig, flat
from pipeline.data.settings import DataConfig
from pipeline.models.ccvae import CCVAEConfig
from pipeline.tracking import SweepRun, Tracker, TrackingSettings, start_sweep
from pipeline.tracking.store import connect
from tests.done_cells import make_done
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = quiet_mlflow


class Store:
    """A store filled as by runs; no run has a folder."""

    def __init__(self, runs: Path) -> None:
        self.runs = runs
        self.uri = fresh_store(runs)
        self.client = connect(self.uri)

    def start(self, name: str) -> SweepRun:
        return start_sweep(self.uri, "traitvae", name, {})

    def add(
        self,
        sweep: str,
        parent: SweepRun,
        status: str = "FINISHED",
        accuracy: float = 0.8,
        measures: Mapping[str, str] | None = None,
        metrics: Mapping[str, float] | None = None,
        **params: object,
    ) -> str:
        given = {
            "seed": 0,
            "model.system": "ccvae",
            "model.characteristic_size": 10,
            "model.style_size": 0,
            "data.name": "fashion_mnist",
            "data.supervision_rate": 0.06,
        }
        given |= {"training.epochs": 100, "tracking.sweep": sweep}
        given |= {name.replace("__", "."): value for name, value in params.items()}
        given = {"data.label_seed": given["seed"]} | given
        tags = {
            "sweep": sweep,
            "cell": f"{sorted(given.items())}",
            "mlflow.parentRunId": parent.parent_run_id,
        }
        tags |= {f"measure.{name}": status for name, status in (measures or {}).items()}
        run_id: str = self.client.create_run(parent.experiment_id, tags=tags).info.run_id
        values = {
            "test/classification_accuracy": accuracy,
            "test/majority_baseline": 0.1,
            "test/balanced_accuracy": accuracy - 0.1,
            "test/elbo": -math.inf,
            "test/auroc": 0.9,
        }
        values = dict(values if metrics is None else metrics) | {"train/elbo": -200.0}
        self.client.log_batch(
            run_id,
            metrics=[Metric(name, value, 0, 0) for name, value in values.items()],
            params=[Param(name, str(value)) for name, value in given.items()],
        )
        if status != "RUNNING":
            self.client.set_terminated(run_id, status)
        return run_id

    def compare(self, *arguments: str) -> None:
        main(["--runs", str(self.runs), *arguments])


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    monkeypatch.setenv("COLUMNS", "160")
    return Store(tmp_path / "runs")


def rows_of(path: Path) -> dict[tuple[str, ...], dict[str, str]]:
    key = ("dataset", "system", "variant", "supervision_rate", "epochs", "metric")
    with path.open(newline="") as file:
        return {tuple(row[name] for name in key): row for row in csv.DictReader(file)}


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    return capsys.readouterr().err


def test_a_finished_sweep_brings_what_mlflow_lacks_and_shows_its_table_and_page_in_its_parent_run(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    store.add("full", parent, accuracy=0.86, seed=1)
    tracking = TrackingSettings(sweep="full", parent_run_id=parent.parent_run_id)
    config = RunConfig(data=DataConfig(name="fashion_mnist"), model=CCVAEConfig(), tracking=tracking)
    cell = Cell.named(store.runs / "full", config, "digest")
    cell.write()
    tracker = Tracker(
        cell.folder, settings=tracking, params=flat(config), tags={}, run_name=cell.name, data=None
    )
    tracker.log("test", 100, {"classification_accuracy": 0.9})
    tracker.close("finished")  # its thread never ran, as if the store had been busy all the time
    make_done(cell)
    finish(store.runs / "full", [cell])
    page = store.runs / "full" / "report.html"
    said = capsys.readouterr().out
    assert "lacked in whole or in part are there now: 1 run: 1 created, 1 point" in said
    assert "2 measured runs from" in said
    assert "0.900 " in said
    assert f"report page: {page}\n" in said
    assert f"no explorer of {cell.name}: " in said  # it has no checkpoint
    assert "report.html" in [item.path for item in store.client.list_artifacts(parent.parent_run_id)]
    assert store.client.get_run(parent.parent_run_id).info.status == "FINISHED"
    shown = [item.path for item in store.client.list_artifacts(parent.parent_run_id, "comparison")]
    assert {"comparison/table.csv", "comparison/table.md", "comparison/runs.csv"} < set(shown)


def test_a_table_has_mean_deviation_paper_and_the_runs_it_rests_on(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    found = [0.861, 0.868, 0.875]
    runs = [store.add("full", parent, accuracy=value, seed=seed) for seed, value in enumerate(found)]
    store.add("full", parent, accuracy=0.5, seed=0, model__system="m2", training__epochs=10)
    store.add("full", parent, status="FAILED", seed=3)
    store.add("full", parent, status="RUNNING", seed=4)
    store.compare("--out", str(tmp_path / "out"), "--csv", str(tmp_path / "my.csv"))

    shown = capsys.readouterr().out
    assert re.search(r"0\.868 ± 0\.007  0\.865 +\+0\.003", shown)
    assert "0.500" in shown
    assert "4 measured runs" in shown
    assert "left out: 1 failed, 1 running" in shown
    rows = rows_of(tmp_path / "my.csv")
    ours = rows["fashion_mnist", "ccvae", "", "0.06", "100", "classification_accuracy"]
    assert float(ours["mean"]) == pytest.approx(statistics.fmean(found))
    assert float(ours["sd"]) == pytest.approx(statistics.stdev(found))
    assert (ours["n"], ours["seeds"], ours["label_seeds"], ours["paper"]) == ("3", "0 1 2", "0 1 2", "0.865")
    assert float(ours["difference"]) == pytest.approx(0.003)
    assert ours["paper_source"] == "Joy et al. 2021, table 6"
    assert ours["run_ids"].split() == runs
    alone = rows["fashion_mnist", "m2", "", "0.06", "10", "classification_accuracy"]
    assert (alone["n"], alone["sd"]) == ("1", "")
    assert rows["fashion_mnist", "ccvae", "", "0.06", "100", "elbo"]["mean"] == "-inf"
    assert not [key for key in rows if key[-1].startswith("train")]

    written = {path.name: path for path in (tmp_path / "out").iterdir()}
    assert set(written) == {"table.csv", "table.md", "runs.csv", "classification_accuracy.png"}
    assert written["table.csv"].read_text() == (tmp_path / "my.csv").read_text()
    assert "| fashion_mnist | ccvae | 0.06 | 100 | 3 | 0.868 ± 0.007 | 0.865 | +0.003 |" in written[
        "table.md"
    ].read_text(encoding="utf-8")
    assert written["classification_accuracy.png"].read_bytes().startswith(b"\x89PNG")


def test_labelled_examples_that_vary_otherwise_than_the_seed_are_counted(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("subsets")
    for seed in (0, 1, 2):
        store.add("subsets", parent, accuracy=0.8 + 0.01 * seed, seed=seed, data__label_seed=0)
        store.add("subsets", parent, seed=seed, data__label_seed=None, data__supervision_rate=1.0)
    store.compare("--out", str(tmp_path))
    assert re.search(r"0\.06 +100 +3 +3 +1 +0\.810 ± 0\.010", capsys.readouterr().out)
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    assert "| f | epochs | n | seeds | label_seeds | classification_accuracy |" in text
    assert "| 0.06 | 100 | 3 | 3 | 1 | 0.810 ± 0.010 |" in text
    assert "| 1 | 100 | 3 | 3 |  | 0.800 ± 0.000 |" in text


def test_the_accuracy_is_shown_with_majority_and_balanced_accuracy(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    for seed in (0, 1):
        store.add("full", parent, seed=seed, accuracy=0.85 + 0.01 * seed)
    store.compare("--out", str(tmp_path))
    shown = capsys.readouterr().out
    assert re.search("classification .*majority +balanced", shown)
    assert re.search(r"0\.855 ± 0\.007 .* 0\.100 ± 0\.000 +0\.755 ± 0\.007", shown)
    heading, _, line = (tmp_path / "table.md").read_text(encoding="utf-8").splitlines()[:3]
    assert "classification_accuracy | paper | difference | majority_baseline | balanced_accuracy" in heading
    assert "0.855 ± 0.007 | 0.865 | -0.010 | 0.100 ± 0.000 | 0.755 ± 0.007" in line


def test_variants_are_labelled_by_the_params_that_differ(store: Store, tmp_path: Path) -> None:
    parent = store.start("presets")
    for seed in (0, 1):
        for preset, accuracy in (("paper", 0.8), ("exact", 0.9)):
            store.add("presets", parent, accuracy=accuracy, seed=seed, model__preset=preset)
    store.add("presets", parent, data__supervision_rate=1.0, model__preset="paper", model__weight=3)
    store.compare("--out", str(tmp_path))
    means = {
        key[2:4]: float(row["mean"])
        for key, row in rows_of(tmp_path / "table.csv").items()
        if key[-1] == "classification_accuracy"
    }
    expected = {("model.preset=paper", "0.06"): 0.8, ("model.preset=exact", "0.06"): 0.9, ("", "1.0"): 0.8}
    assert means == pytest.approx(expected)


def test_the_newest_sweep_with_a_finished_run_is_shown(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("older", "newer"):
        store.add(name, store.start(name))
    store.add("just started", store.start("just started"), status="RUNNING")
    store.compare()
    assert capsys.readouterr().out.startswith("newer")
    assert (store.runs / "newer" / "comparison" / "table.csv").exists()
    store.compare("--list")
    shown = capsys.readouterr().out
    listed = re.findall(r"^│ (just started|newer|older) ", shown, re.MULTILINE)
    assert listed == ["just started", "newer", "older"]
    assert "1 running" in shown


def test_mistakes_are_reported_in_one_sentence(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--runs", str(store.runs)]
    assert "holds no sweep yet" in refused(runs, capsys)
    store.add("quick", store.start("quick"), status="KILLED")
    store.start("empty")
    error = refused([*runs, "--sweep", "nope"], capsys)
    assert error.startswith("error: no sweep is named 'nope' in sqlite:")
    assert error.endswith("there are: empty, quick\n")
    assert error.count("\n") == 1
    assert "'empty' has no runs yet" in refused([*runs, "--sweep", "empty"], capsys)
    assert "no run of the sweep 'quick' is finished" in refused([*runs, "--sweep", "quick"], capsys)
    nowhere = tmp_path / "nowhere"
    assert "there is no MLflow store at sqlite:" in refused(["--runs", str(nowhere)], capsys)
    assert not nowhere.exists()


def test_a_csv_that_is_a_folder_and_a_deleted_experiment_are_said(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    store.add("full", parent)
    runs = ["--runs", str(store.runs)]
    assert f"--csv {tmp_path} is a folder; name a file" in refused([*runs, "--csv", str(tmp_path)], capsys)
    assert not (store.runs / "full").exists()
    store.client.delete_experiment(parent.experiment_id)
    for which in ([], ["--sweep", "full"]):
        error = refused([*runs, *which], capsys)
        assert "deleted in MLflow: experiment traitvae; mlflow experiments restore brings it back" in error


def test_without_a_terminal_the_table_is_not_cut_and_each_run_is_a_row_of_runs_csv(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    found = [store.add("full", parent, seed=seed, accuracy=0.8 + 0.01 * seed) for seed in (0, 1)]
    monkeypatch.delenv("COLUMNS")
    store.compare()
    (line,) = [
        line for line in capsys.readouterr().out.splitlines() if line.strip().startswith("fashion_mnist")
    ]
    assert "0.805 ± 0.007" in line
    with (store.runs / "full" / "comparison" / "runs.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == found
    assert [(row["seed"], row["model.system"], row["status"]) for row in rows] == [
        ("0", "ccvae", "FINISHED"),
        ("1", "ccvae", "FINISHED"),
    ]
    assert [float(row["test/classification_accuracy"]) for row in rows] == [0.8, 0.81]
    assert not [name for name in rows[0] if name.startswith(("tracking.", "train/"))]


def test_a_narrow_terminal_shows_fewer_metrics_and_whole_numbers(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    for seed in (0, 1):
        store.add("full", parent, seed=seed, accuracy=0.85 + 0.01 * seed)
    monkeypatch.setenv("COLUMNS", "80")
    store.compare()
    shown = capsys.readouterr().out
    lines = shown.splitlines()
    table = lines[: next(number for number, line in enumerate(lines) if line.startswith("more metrics"))]
    (line,) = [line for line in table if "ccvae" in line]
    assert line.split()[-4:] == ["0.855", "0.865", "-0.010", "0.100"]  # the last: the majority's
    assert "…" not in "".join(table)
    assert max(map(len, table)) <= 80
    there = "balanced_accuracy, elbo (in table.md and table.csv), auroc (in table.csv)"
    assert f"more metrics: {there}" in shown
    assert (
        "more metrics: auroc (in table.csv)" in (store.runs / "full" / "comparison" / "table.md").read_text()
    )


def test_a_terminal_too_narrow_for_a_single_metric_has_whole_numbers_all_the_same(
    store: Store, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("quick")
    for seed in (0, 1):
        accuracy = 0.85 + 0.01 * seed
        sizes: dict[str, Any] = {"model__characteristic_size": 4, "model__style_size": 10}
        store.add("quick", parent, seed=seed, accuracy=accuracy, training__epochs=1, **sizes)
    monkeypatch.setenv("COLUMNS", "80")
    store.compare()
    shown = capsys.readouterr().out
    table = shown[: shown.index("more metrics")]
    assert "…" not in table
    assert max(map(len, table.splitlines())) <= 80
    (line,) = [line for line in table.splitlines() if "ccvae" in line]
    assert line.split() == ["fashion", "ccvae", "0.06", "1", "2", "0.855", "0.820", "+0.035", "0.100"]
    assert "± 0.007  ± 0.010 (a)" in table


def test_a_wide_terminal_leaves_nothing_out_that_the_table_has(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    store.add("full", store.start("full"))
    store.compare()
    assert "more metrics: auroc (in table.csv)" in capsys.readouterr().out


def test_each_split_has_a_table_of_its_own(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    measures = {"test.classification": "measured", "valid.classification": "measured"}
    metrics = {"test/classification_accuracy": 0.865, "valid/classification_accuracy": 0.875}
    store.add("full", parent, measures=measures, metrics=metrics)
    store.add(
        "full", parent, measures={"valid.classification": "measured"}, metrics={"valid/auroc": 0.5}, seed=1
    )
    store.compare("--out", str(tmp_path))
    shown = capsys.readouterr().out
    assert (
        shown.index("0.865 (n=1)  0.865      +0.000")
        < shown.index("full, split valid")
        < shown.index("0.875")
    )
    test, valid = (tmp_path / "table.md").read_text(encoding="utf-8").split("- split test")
    assert "| n | classification_accuracy | paper | difference |" in test
    assert "valid/" not in test
    assert "| n | valid/classification_accuracy | valid/auroc |" in valid
    assert "| 2 | 0.875 (n=1) | 0.500 (n=1) |" in valid
    rows = rows_of(tmp_path / "table.csv")
    place = ("fashion_mnist", "ccvae", "", "0.06", "100")
    assert (rows[*place, "valid/auroc"]["split"], rows[*place, "valid/auroc"]["paper"]) == ("valid", "")


def test_measures_that_failed_or_do_not_apply_are_reported_and_the_others_shown(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    bad = {"test.classification": "measured", "test.fid": "failed: ValueError: [no image]"}
    for seed in (0, 1):
        store.add("full", parent, status="FAILED", measures=bad, seed=seed)
    none = {"test.classification": "not applicable: the model is no classifier"}
    store.add("full", parent, measures=none, metrics={}, model__system="vae")
    store.add("full", parent, status="FAILED", seed=2)  # in training
    store.compare("--out", str(tmp_path))
    shown = capsys.readouterr().out
    sentences = (
        "fid on test failed in 2 runs (ccvae f=0.06): ValueError: [no image]",
        "classification on test does not apply to 1 run (vae): the model is no classifier",
    )
    text = (tmp_path / "table.md").read_text(encoding="utf-8")
    for sentence in sentences:
        assert sentence in shown
        assert f"- {sentence}\n" in text
    assert "0.800 ± 0.000" in shown
    assert "3 measured runs" in shown
    assert "left out: 1 failed" in shown
    rows = rows_of(tmp_path / "table.csv")
    row = rows["fashion_mnist", "ccvae", "", "0.06", "100", "fid"]
    assert (row["status"], row["reason"], row["n"]) == ("failed", "ValueError: [no image]", "2")
    assert (row["mean"], row["seeds"]) == ("", "0 1")
    assert rows["fashion_mnist", "vae", "", "0.06", "100", "classification"]["status"] == "not applicable"


def test_a_sweep_in_which_nothing_could_be_measured_says_why(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    store.add("full", parent, status="FAILED", measures={"test.fid": "failed: KeyError"}, metrics={})
    with pytest.raises(SystemExit):
        store.compare()
    told = capsys.readouterr()
    assert "fid on test failed in 1 run (ccvae f=0.06): KeyError" in told.out
    assert "no run of the sweep 'full' is finished and measured yet" in told.err


def test_a_sweep_whose_measures_all_do_not_apply_is_done(
    store: Store, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("full")
    store.add("full", parent, measures={"test.fid": "not applicable: it generates nothing"}, metrics={})
    store.compare()
    assert "fid on test does not apply to 1 run (ccvae): it generates nothing" in capsys.readouterr().out


def test_the_papers_number_is_marked_where_our_run_has_other_settings(
    store: Store, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    parent = store.start("quick")
    store.add("quick", parent, training__epochs=3)
    store.add("quick", parent, training__epochs=3, model__system="m2")
    store.add("quick", parent, training__epochs=3, model__classifier_weight=30.0, seed=1)
    store.add("quick", parent, training__epochs=3, model__characteristic_size=4, model__style_size=10)
    store.add("quick", parent, training__epochs=3, data__name="drawn_faces")
    store.compare("--out", str(tmp_path))
    shown = capsys.readouterr().out
    for number in ("0.865 (a)", "0.865 (b)", "0.848 (b)", "0.820 ± 0.010 (b)"):  # the last is ReVAE's own
        assert number in shown
    assert (
        "(a) other settings than the paper's: epochs: paper 100, here 3; classifier_weight: paper 1.0, here 30.0"
        in shown
    )
    assert "3 epochs of training stand next to the paper's 100\n" in shown
    assert "(b) other settings than the paper's: epochs: paper 100, here 3\n" in shown
    assert (
        "also printed for m2: classification_accuracy 0.830 ± 0.000 (b) at f=0.06"
        " (Joy et al. 2020 (ReVAE), table 1)" in shown
    )
    rows = rows_of(tmp_path / "table.csv")
    row = rows["fashion_mnist", "m2", "", "0.06", "3", "classification_accuracy"]
    assert (row["paper"], row["paper_differs_in"]) == ("0.848", "epochs: paper 100, here 3")
    assert row["other_papers"] == "0.830 ± 0.000 (Joy et al. 2020 (ReVAE), table 1, m2)"
    (drawn,) = [
        row for key, row in rows.items() if key[0] == "drawn_faces" and key[-1].endswith("n_accuracy")
    ]
    assert (drawn["paper"], drawn["paper_differs_in"]) == ("", "")


def test_sync_uploads_the_backlog(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    parent = store.start("late")
    settings = TrackingSettings(experiment="traitvae", sweep="late", parent_run_id=parent.parent_run_id)
    params: dict[str, str | int | float | bool | None] = {
        "seed": 0,
        "model.system": "m2",
        "data.name": "mnist",
        "data.supervision_rate": 0.2,
    }
    tracker = Tracker(
        store.runs / "late" / "cell", settings=settings, params=params, tags={}, run_name="late", data=None
    )
    tracker.log("test", 100, {"classification_accuracy": 0.9})
    tracker.close("finished")  # its thread never ran, as if the server had been down all the time
    store.compare("--sync")
    shown = capsys.readouterr().out
    assert "1 run: 1 created, 1 point, 0 files sent to sqlite:" in shown
    assert "0.900  0.968      -0.068" in shown
