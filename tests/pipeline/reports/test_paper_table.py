from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from pipeline.cells.measurements import MeasurementKey, Number, Result
from pipeline.measures.papers import paper_values
from pipeline.measures.recorded import preset_tags
from pipeline.measures.summary import summarise
from pipeline.reports import table_files
from pipeline.reports.finished import FinishedRun
from pipeline.reports.paper_table import Panel, PaperTable, panels
from pipeline.reports.registry import REPORTS
from pipeline.reports.significance import mann_whitney


def table(name: str) -> PaperTable:
    report = REPORTS[name]
    assert isinstance(report, PaperTable)
    return report


TABLE_6, TABLE_1 = table("ccvae-table6"), table("ccvae-table1")
DIGITS = {
    "data.name": "mnist",
    "data.options": "()",
    "data.supervision_schedule": "()",
    "data.one_per_class": "False",
    "data.supervision_rate": "0.2",
    "model.characteristic_size": "10",
    "model.style_size": "0",
    "model.label_latents": "()",
    "training.epochs": "100",
    "optimiser.learning_rate": "0.0005",
}


def run(system: str, seed: int, accuracy: float | None, **more: str) -> FinishedRun:
    params = DIGITS | {"model.system": system, "model.latent_size": "10", "seed": str(seed)}
    params |= {name.replace("__", "."): value for name, value in more.items()}
    name = f"{system}-{params['data.name']}-seed{seed}-{len(str(more))}"
    status = {"measure.test.classification": "measured"} if accuracy is not None else {}
    return FinishedRun(
        folder=Path("runs/sweep") / name,
        run_id=f"id-{name}",
        params=params,
        metrics={} if accuracy is None else {"test/classification_accuracy": accuracy},
        tags=preset_tags(system, {}) | status,
    )


def panel_of(found: list[Panel], data: str) -> Panel:
    return next(panel for panel in found if panel.data == data)


def test_every_number_of_a_table_is_in_it_in_the_papers_arrangement() -> None:
    found = panels(TABLE_6, [])
    assert [(panel.data, panel.metric) for panel in found] == [
        ("mnist", "classification_accuracy"),
        ("fashion_mnist", "classification_accuracy"),
    ]
    assert found[0].models == ["ccvae", "m2"]
    assert found[0].settings == ["f=0.004", "f=0.06", "f=0.2", "f=1.0"]
    assert [entry.printed.value for panel in found for entry in panel.entries] == [
        value.value for value in paper_values() if (value.paper, value.table) == ("ccvae", "6")
    ]


def test_ours_is_the_mean_over_seeds_of_the_runs_that_belong_to_the_number() -> None:
    runs = [run("ccvae", seed, 0.95 + 0.01 * seed) for seed in range(3)]
    runs.append(run("ccvae", 0, 0.5, training__epochs="3"))  # a deviation: another row counts
    runs.append(run("ccvae", 0, 0.1, model__style_size="5"))  # another row of no paper
    runs.append(run("ccvae", 0, 0.1, data__supervision_rate="0.5"))
    found = panel_of(panels(TABLE_6, runs), "mnist").entry("ccvae", "f=0.2")
    assert found is not None
    assert found.ours is not None
    assert found.ours.mean == pytest.approx(0.96)
    assert found.ours.sd == pytest.approx(0.01)
    assert found.values == pytest.approx((0.95, 0.96, 0.97))
    assert found.runs == tuple(runs[:3])
    assert not found.deviations


def test_a_number_in_two_tables_of_a_paper_is_found_for_both() -> None:
    runs = [run("m2", 0, 0.9, data__name="fashion_mnist")]
    for name in ("revae-table1", "revae-table5"):
        found = panel_of(panels(table(name), runs), "fashion_mnist").entry("m2", "f=0.2")
        assert found is not None
        assert found.ours is not None


def test_drawn_faces_stand_in_for_celeba_and_say_so() -> None:
    faces = {
        "data__name": "drawn_faces",
        "data__options": "('count=6000',)",
        "model__style_size": "27",
        "optimiser__learning_rate": "0.0002",
    }
    found = panels(TABLE_1, [run("ccvae", 0, 0.9, **faces)])
    assert [panel.data for panel in found] == ["celeba", "drawn_faces", "chexpert"]
    assert all(entry.ours is None for entry in found[0].entries)
    entry = found[1].entry("ccvae", "f=0.2")
    assert entry is not None
    assert entry.ours is not None
    assert [str(each) for each in entry.deviations] == ["data: paper celeba, here drawn_faces"]


def test_files_say_what_differs_what_is_missing_and_which_runs_are_meant() -> None:
    runs = [
        run(system, seed, 0.9 + 0.01 * seed + shift)
        for seed in range(4)
        for system, shift in (("ccvae", 0), ("m2", -0.2))
    ]
    runs += [run("ccvae", 0, None, data__supervision_rate="0.06")]
    runs += [run("ccvae", 0, 0.8, data__supervision_rate="1", training__epochs="3")]
    found = panels(TABLE_6, runs)
    text = table_files.as_markdown(TABLE_6, found)
    assert "| ccvae | ours |  |  | 0.915 ± 0.013 (n=4) | 0.800 (n=1) (a) |" in text
    assert "|  | paper | 0.927 | 0.974 | 0.979 | 0.988 |" in text
    assert "|  | difference |  |  | -0.064 | -0.188 |" in text
    assert "(a) differs from the paper: epochs: paper 100, here 3" in text
    assert "Mann–Whitney, ccvae and m2 at f=0.2: p = 0.0286 (n = 4 and 4)" in text
    assert "trained, but not measured: python launch/measure.py sweep --measures classification" in text
    assert "4 of 8 numbers have no run: python launch/sweep.py --recipe mnist" in text
    lines = list(csv.DictReader(io.StringIO(table_files.as_csv(TABLE_6, found))))
    assert len(lines) == len(TABLE_6.values)
    (line,) = [each for each in lines if each["mean"] and each["model"] == "m2"]
    assert line["runs"].split() == [f"sweep/m2-mnist-seed{seed}-2" for seed in range(4)]
    assert float(line["p_against_first_row"]) == pytest.approx(0.0286, abs=1e-4)
    assert float(line["difference"]) == pytest.approx(0.715 - 0.968)


def test_too_few_seeds_are_no_test() -> None:
    assert mann_whitney([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) is None
    assert mann_whitney([1.0, 2.0, 3.0, 4.0], [5.0, 6.0, 7.0, 8.0]) == pytest.approx(2 / 70)
    assert mann_whitney([1.0, 2.0, 3.0, 4.0], [1.0, 2.0, 3.0, 4.0]) == pytest.approx(1)


def test_numbers_of_classes_are_those_of_the_newest_result_and_the_last_column_is_the_whole(
    tmp_path: Path,
) -> None:
    """CSVAE table 4: a picture is switched to glasses, or to none."""
    key = MeasurementKey(measure="attribute_switching", version=1, split="test")
    old = MeasurementKey(measure="attribute_switching", version=1, split="test", rests_on={"a": "b"})
    names = {"values": np.array([["no", "yes"]])}
    for each, time, shares in ((key, "2026-01-02", [0.7, 0.9]), (old, "2026-01-01", [0.1, 0.2])):
        quality = {"reader_accuracy": Number(value=0.75, unit="share", better="higher")}
        Result(key=each, time=time, numbers=quality).write(
            tmp_path, names | {"value_switch_accuracy": np.array([shares])}
        )
    glasses = {
        "data.name": "drawn_faces",
        "data.options": "('count=60', 'read_as=celeba_glasses')",
        "data.supervision_rate": "1",
        "model.system": "csvae",
    }
    one = FinishedRun(
        folder=tmp_path,
        run_id="id",
        params=DIGITS | glasses,
        metrics={"test/attribute_switch_accuracy": 0.83},
        tags=preset_tags("csvae", {}) | {"measure.test.attribute_switching": "measured"},
    )
    found = panel_of(panels(table("csvae-table4"), [one]), "drawn_faces")
    assert found.dataset == "celeba_glasses"
    ours = {setting: found.entry("csvae", setting) for setting in found.settings}
    assert {s: e.ours.mean for s, e in ours.items() if e is not None and e.ours is not None} == {
        "glasses": 0.9,
        "neutral": 0.7,
        "final": 0.83,
    }
    text = table_files.as_markdown(table("csvae-table4"), [found])
    assert "read by one quickly trained label reader, right on 0.750 of the known labels" in text


def test_generations_from_uniform_labels_are_not_next_to_revaes_of_celeba() -> None:
    """Its numbers go down to 0.43, where uniform labels have 0.5 by chance: another number, from labels drawn otherwise."""
    faces = {"data__name": "celeba", "model__latent_size": "27", "optimiser__learning_rate": "0.0002"}
    both = {"test/generation_accuracy": 0.6, "test/generation_accuracy/labels_prior": 0.8}
    one = run("m2", 0, 0.9, **faces)
    found = {}
    for name, metrics in (("both", both), ("uniform", {"test/generation_accuracy": 0.6})):
        runs = [replace(one, metrics=one.metrics | metrics)]
        (row,) = summarise(runs)
        found[name] = panels(table("revae-table2"), runs), panels(table("ccvae-table5"), runs), row
    for name, expected in (("both", 0.8), ("uniform", None)):
        panel = next(each for each in found[name][0] if each.metric == "generation_accuracy/labels_prior")
        entry = panel.entry("m2", "f=0.2")
        assert entry is not None
        assert (entry.ours.mean if entry.ours else None) == expected
        uniform = panel_of(found[name][1], "celeba").entry("m2", "f=0.2")
        assert uniform is not None
        assert uniform.values == (0.6,)
    of_uniform = found["both"][2].metrics["generation_accuracy"].printed
    assert [each.value.paper for each in of_uniform] == ["ccvae"]
    text = table_files.as_markdown(table("revae-table2"), found["uniform"][0])
    assert "python launch/measure.py sweep --measures generation_accuracy:labels=prior" in text


def test_drawn_faces_of_different_numbers_are_not_one_row() -> None:
    faces = {"data__name": "drawn_faces", "model__style_size": "27", "optimiser__learning_rate": "0.0002"}
    few = [run("ccvae", seed, 0.6, data__options="('count=60',)", **faces) for seed in range(2)]
    many = [run("ccvae", seed, 0.9, data__options="('count=600',)", **faces) for seed in range(3)]
    entry = panel_of(panels(TABLE_1, few + many), "drawn_faces").entry("ccvae", "f=0.2")
    assert entry is not None
    assert entry.values == (0.9, 0.9, 0.9)


OF_DIGITS = {
    "data__name": "transformed_mnist",
    "model__latent_size": "32",
    "data__supervision_rate": "1",
    "optimiser__learning_rate": "0.0001",
    "optimiser__betas": "(0.5, 0.99)",
    "training__epochs": "30",
    "training__batch_size": "36",
}


def probed(system: str, seed: int, error: float, inside: float, **more: str) -> FinishedRun:
    """A run whose probes have this error on the reported fold, and this one in cross-validation on the other."""
    made = run(system, seed, None, **{**OF_DIGITS, **more})
    name = "-".join([made.folder.name, *more.values()])
    return replace(
        made,
        run_id=name,
        folder=made.folder.with_name(name),
        metrics={
            "test/linear_probe_mae": error,
            "test/linear_probe_mae_in_cross_validation": inside,
            "test/linear_probe_mae_on_common_factors": 2 * error,
        },
        tags=made.tags | {"measure.test.linear_probes": "measured"},
    )


def test_of_several_strengths_the_one_counts_that_is_best_on_a_fold_that_is_not_reported() -> None:
    runs = [
        probed("beta_vae", seed, error, inside, model__beta=beta)
        for seed in range(2)
        for beta, error, inside in (("2", 0.05, 0.09), ("10", 0.07, 0.06), ("50", 0.04, 0.11))
    ]
    entry = panel_of(panels(table("rb_vae-table1"), runs), "transformed_mnist").entry("beta_vae", "average")
    assert entry is not None
    assert entry.values == (0.07, 0.07)
    assert entry.chosen == "beta 10, of 2, 10, 50, chosen by linear_probe_mae_in_cross_validation"
    text = table_files.as_markdown(table("rb_vae-table1"), panels(table("rb_vae-table1"), runs))
    assert f"- beta_vae: {entry.chosen}" in text
    assert "beta: paper" not in text


def test_a_part_of_the_data_is_shown_in_place_of_the_whole_and_says_so() -> None:
    part = {"data__options": "('side=32', 'count=10000')"}
    runs = [probed("rb_vae", 0, 0.08, 0.08, training__batch_size="72", **part)]
    runs.append(probed("srb_vae", 0, 0.08, 0.08, data__options="('images=fashion_mnist', 'count=9')"))
    found = panel_of(panels(table("rb_vae-sec5.3"), runs), "transformed_mnist, side=32, count=10000")
    ours = found.entry("rb_vae", "average")
    assert ours is not None
    assert ours.values == (0.16,)
    assert [str(each) for each in ours.deviations] == [
        "data: paper transformed_mnist, here transformed_mnist, side=32, count=10000"
    ]
    other = found.entry("srb_vae", "average")
    assert other is not None
    assert not other.runs
    assert REPORTS["rb_vae-sec5.3"].source == "Ruiz et al. 2019, section 5.3"


def test_factors_and_expressions_are_columns(tmp_path: Path) -> None:
    key = MeasurementKey(measure="linear_probes", version=2, split="test")
    arrays = {
        "factors": np.array(["width", "red", "size"]),
        "linear_probe_mae": np.array([0.3, 0.1, 0.2]),
        "labels": np.array(["expression"] * 2),
        "values": np.array(["happiness", "fear"]),
        "linear_probe_accuracy": np.array([0.6, 0.4]),
    }
    Result(key=key, time="2026-01-01", numbers={}).write(tmp_path, arrays)
    of_digits, of_faces = (
        replace(probed("rb_vae", 0, 0.2, 0.2, data__name=name, training__epochs=epochs), folder=tmp_path)
        for name, epochs in (("transformed_mnist", "30"), ("affectnet", "20"))
    )
    found = panels(table("rb_vae-table1"), [of_digits, of_faces])
    text = table_files.as_markdown(table("rb_vae-table1"), found)
    assert f"- rb_vae at red, scale, width, average: {of_digits.name} (" in text
    command = f"python launch/measure.py {tmp_path.parent.name} --measures linear_probes"
    assert (
        f"{tmp_path.parent.name} was measured by version 2 of linear_probes, which has version 3 now: {command}"
        in text
    )
    for data, expected in (
        ("transformed_mnist", {"red": 0.1, "scale": 0.2, "width": 0.3, "average": 0.2}),
        ("affectnet", {"happiness": 0.6, "fear": 0.4}),
    ):
        panel = panel_of(found, data)
        entries = {setting: panel.entry("rb_vae", setting) for setting in panel.settings}
        numbers = {s: e.ours.mean for s, e in entries.items() if e is not None and e.ours is not None}
        assert numbers == expected
