"""Which runs and pictures a figure shows."""

from __future__ import annotations

from pathlib import Path

from pipeline.reports import figure_files
from pipeline.reports.finished import FinishedRun
from pipeline.reports.paper_figure import PaperFigure, shown_runs
from pipeline.reports.registry import REPORTS


def figure(name: str) -> PaperFigure:
    report = REPORTS[name]
    assert isinstance(report, PaperFigure)
    return report


def run(folder: Path, system: str, rate: float, *pictures: str, **more: str) -> FinishedRun:
    cell = folder / "sweep" / f"{system}-{rate}-{len(list(folder.glob('*/*')))}"
    (cell / "figures").mkdir(parents=True)
    for picture in pictures:
        (cell / "figures" / f"{picture}.png").write_bytes(b"")
    tags = {name: text for name, text in more.items() if name.startswith("measure.")}
    preset = {"preset": "rb_vae" if system == "rb_vae" else "ccvae", "preset.deviations": "{}"}
    params = {
        "data.name": "drawn_faces",
        "data.options": "('count=60',)",
        "model.system": system,
        "data.supervision_rate": str(rate),
        "training.epochs": "5",
        "seed": "0",
    }
    params |= {name: text for name, text in more.items() if name not in tags}
    return FinishedRun(folder=cell, run_id=cell.name, params=params, metrics={}, tags=tags | preset)


def test_a_figure_with_several_rates_shows_one_run_of_each(tmp_path: Path) -> None:
    runs = [run(tmp_path, "m2", rate, "log_probability_changes") for rate in (0.06, 1.0)]
    runs += [run(tmp_path, "m2", 1.0), run(tmp_path, "ccvae", 0.2, "log_probability_changes")]
    matrices = figure("ccvae-figure12")
    shown = shown_runs(matrices, runs)
    assert [each.run for each in shown] == runs[:2]
    names = figure_files.copy_pictures(matrices, shown, tmp_path)
    assert sorted(names.values()) == [
        "drawn_faces-m2-f0.06-log_probability_changes.png",
        "drawn_faces-m2-f1-log_probability_changes.png",
    ]
    text = figure_files.as_markdown(matrices, shown, names)
    assert "## m2 on drawn_faces, in place of celeba, f = 0.06, 5 epochs" in text
    assert "no run of m2 on celeba: python launch/sweep.py --recipe celeba-table1" in text


def test_a_part_of_the_data_is_named_and_what_differs_from_the_paper_is_said(tmp_path: Path) -> None:
    runs = []
    for options, rate in (("('count=9', 'side=16')", "0.0005"), ("()", "0.0001")):
        more = {"data.name": "transformed_mnist", "data.options": options, "optimiser.learning_rate": rate}
        runs.append(run(tmp_path, "rb_vae", 1.0, "characteristic_transfer", **more))
    transfer = figure("rb_vae-figure5")
    shown = shown_runs(transfer, runs)
    assert [each.run for each in shown] == runs[::-1]
    names = figure_files.copy_pictures(transfer, shown, tmp_path)
    assert sorted(names.values()) == [
        "transformed_mnist-count=9-side=16-rb_vae-characteristic_transfer.png",
        "transformed_mnist-rb_vae-characteristic_transfer.png",
    ]
    whole, part = figure_files.as_markdown(transfer, shown, names).split("## ")[1:]
    assert whole.startswith("rb_vae on transformed_mnist, f = 1, 5 epochs")
    assert part.startswith(
        "rb_vae on transformed_mnist, count=9, side=16, in place of transformed_mnist, f = 1"
    )
    assert (
        "- differs from the paper: data: paper transformed_mnist, here transformed_mnist, count=9, side=16;"
        in part
    )
    assert "learning_rate: paper 0.0001, here 0.0005" in part
    assert "learning_rate" not in whole
    assert "epochs: paper 30, here 5" in whole
    assert "no run of srb_vae on transformed_mnist:" in part


def test_planes_of_other_labels_are_not_those_of_the_figure_and_are_named_as_missing(tmp_path: Path) -> None:
    made = ("traversal_plane", "traversal_plane-labels_Pale_Skin+Young", "traversal_plane-labels_Male+Chubby")
    planes = figure("ccvae-figure3")
    (shown,) = shown_runs(planes, [run(tmp_path, "ccvae", 1.0, *made)])
    assert [file.stem for file in shown.files] == ["traversal_plane-labels_Pale_Skin+Young"]
    assert shown.missing == ("traversal_plane:labels=Smiling+Wearing_Necktie",)
    names = figure_files.copy_pictures(planes, [shown], tmp_path)
    assert (
        "launch/measure.py sweep --measures traversal_plane:labels=Smiling+Wearing_Necktie"
        in figure_files.as_markdown(planes, [shown], names)
    )


def test_hair_in_one_latent_is_no_figure_of_hair_in_ten_and_a_short_schedule_counts(tmp_path: Path) -> None:
    hair = {"data.options": "('read_as=celeba_hair',)", "data.supervision_schedule": "()"}
    ten = run(tmp_path, "ccvae", 0.9, "traversals", **hair | {"model.characteristic_size": "10"})
    one = run(tmp_path, "ccvae", 0.9, "traversals", **hair | {"model.characteristic_size": "1"})
    short = {"model.characteristic_size": "1", "data.supervision_schedule": "((2, 0.5), (4, 0.1))"}
    scheduled = run(tmp_path, "ccvae", 0.9, "traversals", **hair | short)
    runs = [ten, one, scheduled]
    assert [each.run for each in shown_runs(figure("ccvae_study-figure11"), runs)] == [one]
    assert [each.run for each in shown_runs(figure("ccvae_study-figure17"), runs)] == [scheduled]
    assert shown_runs(figure("ccvae-figure18"), runs) == []  # of binary labels


def test_a_measure_that_does_not_apply_is_said_instead_of_a_command(tmp_path: Path) -> None:
    reason = "mvae does not swap characteristics"
    one = run(tmp_path, "mvae", 1.0, **{"measure.test.swap_grid": f"not applicable: {reason}"})
    swaps = figure("ccvae-figure7")
    (shown,) = shown_runs(swaps, [one])
    text = figure_files.as_markdown(swaps, [shown], {})
    assert f"- swap_grid does not apply: {reason}" in text
    assert "not measured" not in text
