from __future__ import annotations

import logging
import os
import signal
from pathlib import Path

import pytest

from data_prep.errors import Interrupted
from launch.debug import main
from pipeline.cells.folder import CellFolder
from pipeline.measures.plan import is_done


@pytest.fixture
def options(tiny_raw: Path, tmp_path: Path) -> list[str]:
    places = ["--raw", str(tiny_raw), "--data-root", str(tmp_path / "data"), "--runs", str(tmp_path / "runs")]
    return [
        "--data",
        "idx-folder",
        "--batch-size",
        "50",
        "--hidden-width",
        "32",
        "--epochs",
        "2",
        "--no-mlflow",
        *places,
    ]


@pytest.mark.parametrize("preset", ["ccvae", "m2"])
def test_a_preset_trains_and_is_measured_in_this_process(preset, options, tmp_path, capsys, caplog):
    with caplog.at_level(logging.INFO):
        main([preset, *options])
    assert "epoch 2 of 2" in caplog.text  # no other process could have logged here
    printed = capsys.readouterr().out
    assert "classification_accuracy" in printed
    (cell,) = (tmp_path / "runs" / "debug").glob("*/")
    assert is_done(CellFolder(cell))


def test_one_label_per_class_is_used_where_the_preset_is_made_for_it(options, tmp_path, caplog):
    main(["revae-one-per-class", *options])
    (cell,) = (tmp_path / "runs" / "debug").glob("*/")
    assert cell.name.startswith("ccvae_one_per_class-idx_folder-f0-one_per_class-seed0-")


def test_a_finished_run_is_reported_and_restarted_on_request(options, capsys, caplog):
    main(["m2", *options])
    main(["m2", *options])
    assert "this run is done" in capsys.readouterr().out
    caplog.clear()
    with caplog.at_level(logging.INFO):
        main(["m2", *options, "--fresh"])
    assert "epoch 1 of 2" in caplog.text


def test_ctrl_c_stops_after_a_checkpoint_and_the_same_command_resumes(
    options, tmp_path, capsys, caplog, monkeypatch
):
    from pipeline.training import checkpoint

    save = checkpoint.save

    def save_then_press_ctrl_c(*arguments):
        monkeypatch.undo()
        os.kill(os.getpid(), signal.SIGINT)
        return save(*arguments)

    monkeypatch.setattr(checkpoint, "save", save_then_press_ctrl_c)
    with pytest.raises(SystemExit) as end:
        main(["m2", *options])
    assert end.value.code == 130
    assert "stopped after step 12 of 24" in capsys.readouterr().out
    with caplog.at_level(logging.INFO):
        main(["m2", *options])
    assert "resuming from step 12 of 24" in caplog.text


def test_ctrl_c_during_measuring_is_not_an_error(options, capsys, monkeypatch):
    def stop(config_file):
        raise Interrupted("asked to stop while measuring")

    monkeypatch.setattr("launch.debug.train_cell", lambda config_file, **_: None)
    monkeypatch.setattr("launch.debug.evaluate_cell", stop)
    with pytest.raises(SystemExit) as end:
        main(["m2", *options])
    assert end.value.code == 130
    assert capsys.readouterr().out.endswith("asked to stop while measuring\n")


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (["--epochs", "-1"], "epochs is -1; it must be at least 1"),
        (["--data", "fashion-mnits"], "fashion-mnits"),
        (["--supervision-rate", "6"], "supervision_rate is 6.0"),
        (["--device", "cuda"], "torch finds no GPU here"),
    ],
)
def test_wrong_settings_are_reported_in_one_sentence(options, capsys, wrong, sentence):
    at = options.index(wrong[0]) if wrong[0] in options else len(options)
    others = options[:at] + options[at + 2 :]
    with pytest.raises(SystemExit) as end:
        main(["ccvae", *others, *wrong])
    assert end.value.code == 2
    errors = capsys.readouterr().err
    assert sentence in errors
    assert "Traceback" not in errors


def test_a_wrong_system_is_reported_with_the_likely_one(capsys):
    with pytest.raises(SystemExit) as end:
        main(["diva-orignal"])
    assert end.value.code == 2
    said = "error: there is no system 'diva-orignal'; did you mean diva_original?\n"
    assert capsys.readouterr().err == said
