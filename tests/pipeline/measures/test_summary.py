from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from pipeline.measures.notes import earlier, notes, won
from pipeline.measures.summary import metric_names, summarise
from pipeline.measures.tables import as_markdown
from pipeline.tracking.measured import MeasureStatus


@dataclass(frozen=True)
class Run:
    run_id: str
    params: dict[str, str]
    metrics: dict[str, float]
    tags: dict[str, str] = field(default_factory=dict)


def run(run_id: str, seed: int, accuracy: float, **more: str) -> Run:
    params = {"seed": str(seed), "data.name": "mnist", "model.system": "m2", "data.supervision_rate": "0.2"}
    params |= {name.replace("__", "."): value for name, value in more.items()}
    return Run(run_id, params, {"test/classification_accuracy": accuracy, "train/elbo": -1.0})


def test_runs_on_other_folders_are_seeds_of_one_row() -> None:
    rows = summarise(
        [run("a", 0, 0.9, data__folder="x"), run("b", 1, 1.0, data__folder="y", data__loader="ffcv")]
    )
    assert [(row.variant, row.seeds, row.run_ids) for row in rows] == [("", ("0", "1"), ("a", "b"))]
    found = rows[0].metrics["classification_accuracy"]
    assert (found.mean, found.n) == (0.95, 2)
    assert found.sd == pytest.approx(math.sqrt(0.005))
    assert found.difference == pytest.approx(0.95 - 0.968)
    assert metric_names(rows) == ["classification_accuracy"]


def test_two_folders_of_own_pictures_are_two_data_sets() -> None:
    folders = ("/a/data/pictures-1111", "/b/data/pictures-1111", "/a/data/pictures-2222")
    runs = [run("x", seed, 0.9, data__name="pictures", data__folder=f) for seed, f in enumerate(folders)]
    found = {row.variant: row.seeds for row in summarise(runs)}
    assert found == {"data.digest=1111": ("0", "1"), "data.digest=2222": ("2",)}
    assert [row.variant for row in summarise(runs[:2])] == [""]


def measured(run_id: str, metrics: dict[str, float], tags: dict[str, str], seed: int = 0) -> Run:
    return Run(run_id, run("", seed, 0.0).params, metrics, {f"measure.{k}": v for k, v in tags.items()})


def test_a_note_says_how_well_label_readers_read() -> None:
    read = {"test/generation_accuracy": 0.7, "test/reader_accuracy": 0.9871}
    tags = {"test.generation_accuracy": "measured"}
    quick = summarise([measured("a", read, tags)])
    full = summarise([measured("a", read | {"test/generation_accuracy_reader_sd": 0.01}, tags)])
    said = "right on 0.987 of the known labels of test (reader_accuracy)"
    for rows, readers in (
        (quick, "one quickly trained label reader"),
        (full, "an ensemble of label readers"),
    ):
        assert f"pictures of mnist are judged by {readers}, {said}" in notes(rows, ["generation_accuracy"])
    plain = summarise([run("a", 0, 0.9)])
    assert not any("judged" in note for note in notes(plain, ["classification_accuracy"]))


def test_what_is_measured_makes_no_variant() -> None:
    runs = [
        measured(split, {}, {f"{split}.fid": "measured"}, seed)
        for seed, split in enumerate(("test", "valid"))
    ]
    runs[0].params["measures.split"] = "test"  # recorded when that was still a param
    assert [row.variant for row in summarise(runs)] == [""]


def test_numbers_of_two_splits_are_two_columns_and_only_those_of_test_have_a_paper() -> None:
    metrics = {"test/classification_accuracy": 0.9, "valid/classification_accuracy": 0.8, "valid/auroc": 0.7}
    metrics |= {"train_split/elbo": -90.0, "train/elbo": -1.0}
    tags = {f"{split}.classification": "measured" for split in ("test", "valid", "train")}
    (row,) = summarise([measured("a", metrics, tags)])
    assert metric_names([row]) == [
        "classification_accuracy",
        "train_split/elbo",
        "valid/classification_accuracy",
        "valid/auroc",
    ]
    assert {name: found.split for name, found in row.metrics.items()}["train_split/elbo"] == "train"
    assert row.metrics["classification_accuracy"].paper is not None
    assert row.metrics["valid/classification_accuracy"].paper is None


def test_a_split_without_a_tag_is_not_taken_from_what_the_run_logged_before() -> None:
    metrics = {"test/classification_accuracy": 0.1, "valid/classification_accuracy": 0.8}
    (row,) = summarise([measured("a", metrics, {"valid.classification": "measured"})])
    assert metric_names([row]) == ["valid/classification_accuracy"]


def test_a_run_of_before_has_its_numbers_under_the_split_that_it_measured() -> None:
    rows = summarise([run(split, 0, 0.9, measures__split=split) for split in ("test", "valid")])
    assert [row.variant for row in rows] == ["measures.split=test", "measures.split=valid"]
    assert [metric_names([row]) for row in rows] == [
        ["classification_accuracy"],
        ["valid/classification_accuracy"],
    ]


def test_measures_without_numbers_are_counted_and_the_others_stand() -> None:
    metrics = {"test/classification_accuracy": 0.9, "test/fid": 7.0, "test/auroc": 0.5}
    good = {"test.classification": "measured", "test.fid": "measured"}
    bad = good | {"test.fid": "failed: ValueError: no image"}
    runs = [
        measured("a", metrics, good, seed=0),
        measured("b", {"test/classification_accuracy": 0.7}, bad, seed=1),
        measured("c", {"test/classification_accuracy": 0.5}, bad, seed=2),
    ]
    runs[0].tags["measures.withdrawn"] = "test/auroc"
    (row,) = summarise(runs)
    assert metric_names([row]) == ["classification_accuracy", "fid"]
    assert (row.metrics["classification_accuracy"].n, row.metrics["fid"].n) == (3, 1)
    assert row.unmeasured == ((MeasureStatus("test", "fid", "failed", "ValueError: no image"), 2),)


def test_numbers_by_an_earlier_version_of_a_measure_are_left_out_next_to_newer_ones_and_it_is_said() -> None:
    def probed(run_id: str, seed: int, error: float, versions: str | None) -> Run:
        found = measured(
            run_id,
            {"test/linear_probe_mae": error, "test/elbo": -1.0},
            {"test.linear_probes": "measured", "test.likelihood": "measured"},
            seed,
        )
        return replace(found, tags=found.tags | ({"measures.versions": versions} if versions else {}))

    old, new = (f'{{"test.likelihood": 2, "test.linear_probes": {version}}}' for version in (2, 3))
    runs = [probed("old", 0, 0.9, old), probed("a", 1, 0.1, new), probed("b", 2, 0.3, new)]
    (row,) = summarise(runs)
    error = row.metrics["linear_probe_mae"]
    assert error.mean == pytest.approx(0.2)
    assert (error.n, row.metrics["elbo"].n) == (2, 3)
    (said,) = earlier([row])
    assert said.startswith(
        "linear_probes on test: numbers of 1 run (m2) are of version 2, and left out next to version 3"
    )
    assert said.endswith("launch/measure.py SWEEP --measures linear_probes")
    assert said in as_markdown([row])
    (alone,) = summarise(runs[:1])
    assert alone.metrics["linear_probe_mae"].mean == 0.9
    assert "the measure has version 3 now" in earlier([alone])[0]
    # From before runs named versions: nothing is known of them.
    unknown = summarise([probed("before", 0, 0.9, None), runs[1]])
    assert (unknown[0].metrics["linear_probe_mae"].n, earlier(unknown)) == (2, [])


def test_of_two_runs_with_one_seed_the_last_counts() -> None:
    (row,) = summarise([run("old", 0, 0.1), run("new", 0, 0.9)])
    assert (row.run_ids, row.metrics["classification_accuracy"].mean) == (("new",), 0.9)


def test_runs_with_one_seed_and_other_labelled_examples_are_runs_of_one_row() -> None:
    runs = [run(label_seed, 0, 0.9, data__label_seed=label_seed) for label_seed in ("0", "1", "2")]
    (row,) = summarise([*runs, run("again", 0, 0.6, data__label_seed="2")])
    assert (row.variant, row.run_ids) == ("", ("0", "1", "again"))
    assert (row.seeds, row.label_seeds) == (("0", "0", "0"), ("0", "1", "2"))
    assert row.metrics["classification_accuracy"].n == 3
    assert row.metrics["classification_accuracy"].mean == pytest.approx(0.8)


def test_runs_made_before_there_was_a_label_seed_had_one_set_of_labelled_examples() -> None:
    (row,) = summarise([run("a", 0, 0.9), run("b", 1, 0.8)])
    assert (row.label_seeds, row.varies_labels_otherwise) == (("0", "0"), True)


def test_where_every_example_keeps_its_labels_nothing_is_said_of_label_seeds() -> None:
    known = {"data__supervision_rate": "1.0"}
    (row,) = summarise([run("a", 0, 0.9, **known), run("b", 1, 0.8, data__label_seed="None", **known)])
    assert (row.label_seeds, row.varies_labels_otherwise) == ((), False)


@pytest.mark.parametrize("values", [(math.inf, -math.inf), (math.nan, 1.0), (math.inf, math.inf)])
def test_values_without_a_mean_do_not_end_the_table(values: tuple[float, float]) -> None:
    (row,) = summarise([run("a", 0, values[0]), run("b", 1, values[1])])
    found = row.metrics["classification_accuracy"]
    assert not math.isfinite(found.mean)
    assert found.sd is not None
    assert math.isnan(found.sd)


def test_a_note_says_which_discriminators_won_and_for_how_long() -> None:
    name = "epoch/unlabelled/discriminator_epochs_won"
    of_each = [{name: 3.0, "epoch/reference/discriminator_epochs_won": 0.0}, {name: 0.0}, {name: 1.0}]
    runs = [measured(str(seed), metrics, {}, seed) for seed, metrics in enumerate(of_each)]
    for each in runs:
        each.params["training.epochs"] = "30"
    rows = summarise(runs)
    assert won(rows) == [
        "m2 on mnist: the discriminator of unlabelled images won outright (accuracy above 0.99) in up to 3 of 30 epochs, in"
        " 2 of 3 runs"
    ]
