from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from launch.clusters.backend import State
from launch.clusters.slurm import queue
from launch.clusters.slurm.register import Register
from launch.monitoring.logs import Tail
from launch.monitoring.named import SweepFolder
from launch.monitoring.sweep_status import read_status
from launch.sweep import main
from pipeline.cells.attempt import Attempt
from pipeline.cells.lease import hold_lease
from tests.done_cells import make_done
from tests.launch.clusters.slurm.plans import entered, in_queue
from tests.launch.monitoring.sweeps import NAME, make_cells, say

ROOT = Path(__file__).resolve().parents[3]


def test_the_status_of_a_local_sweep_comes_from_its_folders(sweep, runs, capsys):
    done, failed, stopped, running, open_cell = make_cells(sweep, 5)
    make_done(done)
    failed.give_up("the objective is nan at step 43")
    outcome = {"job": "", "restart": 0, "unit": "train", "outcome": "interrupted", "step": 7}
    (stopped.folder / "outcome.json").write_text(json.dumps(outcome | {"sentence": "stopped after step 7"}))
    (sweep / "jobs").mkdir(exist_ok=True)
    (sweep / "jobs" / "mps-on-n1").write_bytes(b"yes")
    begun = running.folder / "measures" / "linear_probes-01234567"
    begun.mkdir(parents=True)
    (begun / "begun").touch()
    with hold_lease(running.folder, Attempt.here(), "evaluate", seconds_to_settle=0.0):
        states = read_status(SweepFolder.named(NAME, runs)).states
        at = r"linear_probes for \d+ s, 0 of 9 measures done"
        assert re.fullmatch(at, states[running.name].measure)
        assert all(not state.measure for name, state in states.items() if name != running.name)
        assert [state.phase for state in states.values()] == [
            "done",
            "failed",
            "stopped",
            "measuring",
            "waiting",
        ]
        assert say("status", NAME, runs=runs) == 3
        assert say("status", runs=runs) == 3
    printed = capsys.readouterr().out
    assert "the objective is nan at step 43" in printed
    assert re.search("linear_probes for .* s, 0 of 9 measures done", " ".join(printed.split()))
    assert "stopped after step 7" in printed
    assert "CUDA's MPS runs on n1" in printed
    assert "5 cells: 1 measuring, 1 failed, 1 stopped, 1 waiting, 1 done" in printed
    assert NAME in printed.split("to start the failed cells again")[1]  # the list of sweeps
    states = read_status(SweepFolder.named(NAME, runs)).states
    assert states[running.name].phase == "stopped"
    assert states[open_cell.name].detail == "not started"
    assert say("status", NAME, runs=runs) == 1


def test_what_is_no_sweep_or_command_is_one_sentence(runs, capsys):
    (runs / "half deleted" / "m2").mkdir(parents=True)
    for words, sentence in (
        (["status", "half deleted"], "half deleted has no run in it (a folder with config.json)"),
        (["statsu"], "there is no command 'statsu' (a new sweep has none: --recipe); did you mean status?"),
        (["mnist"], "there is no command 'mnist' (a new sweep has none: --recipe); there are: status, "),
        (["--trials", "3"], "--trials belongs to a search: say what to search with --search"),
    ):
        assert say(*words, runs=runs) == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("there", [True, False])
def test_a_cell_that_was_asked_to_stop_and_whose_job_is_gone_has_not_failed(sweep, there: bool):
    """It was cancelled: accounting may lag, or be missing."""
    (cell,) = make_cells(sweep, 1)
    entered(Register(sweep), "train", [cell.name], "12")
    outcome = {"job": "12_0", "restart": 0, "unit": "train", "outcome": "interrupted", "step": 7}
    (cell.folder / "outcome.json").write_text(json.dumps(outcome | {"sentence": "stopped after step 7"}))
    seen = read_status(SweepFolder(sweep), queue={}, accounts=queue.Accounting(is_there=there))
    assert seen.states[cell.name] == State("stopped", "stopped after step 7")


def test_cancelled_cells_are_reported_as_such_without_accounting(sweep, runs, monkeypatch, capsys):
    cell, other = make_cells(sweep, 2)
    register = Register(sweep)
    jobs = in_queue(entered(register, "train", [cell.name, other.name], "12"), "12", state="RUNNING")
    cancelled: list[str] = []
    monkeypatch.setattr(queue, "cancel", cancelled.extend)
    monkeypatch.setattr("launch.monitoring.sweep_status.queued", lambda **_: jobs)
    monkeypatch.setattr("launch.monitoring.sweep_status.ended", lambda _: queue.Accounting(is_there=False))
    assert say("cancel", NAME, "seed0", runs=runs) == 0
    assert cancelled == ["12_0"]
    del jobs["12_0"]
    states = read_status(SweepFolder(sweep)).states
    assert states[cell.name] == State("stopped", "cancelled")
    assert states[other.name].phase == "training"
    entered(Register(sweep), "train", [cell.name], "15")  # started again, and lost without an error message
    assert read_status(SweepFolder(sweep)).states[cell.name].detail != "cancelled"


@pytest.mark.parametrize("how", ["once", "watching"])
def test_the_exit_status_is_0_when_all_is_done(sweep, runs, capsys, how):
    for cell in make_cells(sweep, 2):
        make_done(cell)
    assert say("status", NAME, *(["--watch"] if how == "watching" else []), runs=runs) == 0
    assert capsys.readouterr().out.count("done") >= 2


@pytest.mark.parametrize(
    ("word", "arguments", "sentence"),
    [
        ("status", ["a b; echo x"], f"no sweep 'a b; echo x' in {{runs}}; did you mean {NAME}?"),
        ("status", ["--watch"], "--watch needs the name of a sweep"),
        ("status", ["../x"], f"no sweep '../x' in {{runs}}; there are: {NAME}"),
        ("logs", [NAME, "seed"], "3 cells of a b; echo 'x' match 'seed'"),
        ("logs", [NAME, "m2-mnist-f1-sed1"], "did you mean m2-mnist-f1-seed1-00000001?"),
        (
            "logs",
            [NAME, "zzz"],
            "matches 'zzz'; there are: m2-mnist-f1-seed0-00000000, m2-mnist-f1-seed1-00000001, ",
        ),
        ("logs", [NAME, "seed1"], "m2-mnist-f1-seed1-00000001 has no log yet (stopped: not started)"),
        ("logs", [NAME, "seed1", "--rank", "-1"], "rank is -1; it must be 0 or above"),
    ],
)
def test_a_wrong_name_is_reported_with_the_likely_one(sweep, runs, capsys, word, arguments, sentence):
    make_cells(sweep, 3)
    assert say(word, *arguments, runs=runs) == 2
    errors = capsys.readouterr().err
    assert sentence.format(runs=runs) in errors
    assert errors.startswith("error: ")
    assert errors.count("\n") == 1


def test_a_damaged_register_is_reported_in_one_sentence(sweep, runs, capsys):
    make_cells(sweep, 1)
    (sweep / "jobs.json").write_text('{"submissions": [')
    assert say("status", NAME, runs=runs) == 2
    assert "jobs.json is damaged" in capsys.readouterr().err


def test_logs_of_both_units_are_printed_one_after_the_other(sweep, runs, capsys):
    (cell,) = make_cells(sweep, 1)
    for unit, rank, text in (
        ("train", 0, "trained\n"),
        ("evaluate", 0, "measured\n"),
        ("train", 1, "second\n"),
    ):
        cell.log_file(unit, rank).parent.mkdir(exist_ok=True)
        cell.log_file(unit, rank).write_text(text)
    assert say("logs", NAME, "seed0", runs=runs) == 0
    printed = capsys.readouterr().out
    assert printed.index("trained\n") < printed.index("measured\n")
    assert say("logs", NAME, "seed0", "--unit", "train", "--rank", "1", runs=runs) == 0
    assert capsys.readouterr().out == "second\n"


def test_a_log_is_followed_across_split_characters_and_truncation(tmp_path):
    file = tmp_path / "log.txt"
    tail = Tail(file)
    assert tail.new() == ""
    file.write_bytes("a é".encode()[:-1])
    assert tail.new() == "a "
    file.write_bytes("a é\n".encode())
    assert tail.new() == "é\n"
    file.write_bytes(b"b\n")
    assert tail.new() == "b\n"


def test_following_ends_with_the_cell(sweep, runs, capsys):
    (cell,) = make_cells(sweep, 1)
    cell.log_file("train", 0).parent.mkdir()
    cell.log_file("train", 0).write_text("epoch 1\n")
    make_done(cell)
    assert say("logs", NAME, "seed0", "--follow", runs=runs) == 0
    said = capsys.readouterr()
    assert said.out.endswith("epoch 1\n")
    assert said.err == f"[{cell.name} is done]\n"


@pytest.mark.parametrize("word", ["status", "cancel", "logs", "retry"])
def test_help_explains_usage(word, capsys):
    with pytest.raises(SystemExit) as end:
        main([word, "--help"])
    assert end.value.code == 0
    printed = capsys.readouterr().out
    assert f"sweep.py {word}" in printed
    if word == "status":
        assert "Exit status: 0 when every cell is done" in printed


@pytest.mark.parametrize("words", [["status"], ["status", NAME], ["logs", NAME, "seed0"], ["cancel", NAME]])
def test_monitoring_needs_no_torch(words, sweep, runs):
    make_cells(sweep, 2)
    command = [sys.executable, "-X", "importtime", "launch/sweep.py", *words, "--runs", str(runs)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=180)
    imported = {line.rpartition("|")[2].strip() for line in done.stderr.splitlines()}
    assert "launch.subcommands" in imported
    assert not imported & {"torch", "mlflow", "submitit", "sklearn"}
