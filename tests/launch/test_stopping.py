"""Signals that stop a launcher."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.errors import report_user_errors
from launch.clusters.backend import State
from launch.clusters.launchers import launchers
from launch.start import run_to_the_end
from launch.stopping import holding_signals_back, stopping_as_with_ctrl_c

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Tests that were started with nohup ignore that a terminal closes; what they test does not."""
    former = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, former)


class TwoSignals:
    """A backend that is asked to stop while it runs, and ``again`` while it stops."""

    def __init__(self, first: signal.Signals, again: signal.Signals | None, sweep: Path) -> None:
        self.first, self.again, self.sweep = first, again, sweep
        self.interrupted: list[bool] = []

    def states(self) -> dict[str, State]:
        assert [launcher.pid for launcher in launchers(self.sweep)] == [os.getpid()]
        signal.raise_signal(self.first)
        raise AssertionError("the signal was not noticed")

    def interrupt(self, again: bool) -> str:
        self.interrupted.append(again)
        if self.again is not None and not again:
            signal.raise_signal(self.again)
        return "stopped"


@pytest.mark.parametrize(
    ("first", "again", "interrupted", "status"),
    [
        (signal.SIGTERM, None, [False], 143),
        (signal.SIGTERM, signal.SIGTERM, [False, True], 143),
        (
            signal.SIGHUP,
            signal.SIGHUP,
            [False],
            129,
        ),  # both the system and the shell say that a terminal closed
        (signal.SIGTERM, signal.SIGHUP, [False], 143),
        (signal.SIGINT, signal.SIGTERM, [False, True], 130),
    ],
)
def test_a_launcher_is_stopped_by_a_signal_and_killed_by_a_second_one(
    tmp_path, capsys, first, again, interrupted, status
):
    backend = TwoSignals(first, again, tmp_path)
    with pytest.raises(SystemExit) as end, stopping_as_with_ctrl_c():
        run_to_the_end(backend, [], tmp_path, "local")  # type: ignore[arg-type]
    assert (backend.interrupted, end.value.code) == (interrupted, status)
    assert capsys.readouterr().out.splitlines()[-1] == "stopped"
    assert launchers(tmp_path) == []
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_what_a_launcher_started_is_stopped_if_it_fails(tmp_path):
    backend = TwoSignals(signal.SIGTERM, None, tmp_path)

    def fail() -> dict[str, State]:
        raise OSError("its terminal is gone")

    backend.states = fail  # type: ignore[method-assign]
    with pytest.raises(OSError, match="its terminal is gone"):
        run_to_the_end(backend, [], tmp_path, "local")  # type: ignore[arg-type]
    assert backend.interrupted == [False]


def test_before_anything_runs_a_signal_is_reported_like_ctrl_c(capsys):
    with pytest.raises(SystemExit) as end, report_user_errors(), stopping_as_with_ctrl_c():
        signal.raise_signal(signal.SIGTERM)
    assert end.value.code == 143
    assert capsys.readouterr().err == "interrupted; run the same command to resume\n"


def test_a_signal_is_held_back_while_a_process_is_started():
    entered = []

    def start_a_process():
        with holding_signals_back():
            signal.raise_signal(signal.SIGTERM)
            entered.append("the process")

    with stopping_as_with_ctrl_c(), pytest.raises(KeyboardInterrupt):
        start_a_process()
    assert entered


def test_a_signal_that_nohup_ignores_stays_ignored():
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stopping_as_with_ctrl_c():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, former)


def test_after_its_terminal_was_closed_a_launcher_still_stops_in_order(tmp_path):
    """It can print nothing any more: each write would fail."""
    script = """if True:
        import sys, time
        from pathlib import Path
        from launch.stopping import stopping_as_with_ctrl_c
        try:
            with stopping_as_with_ctrl_c():
                print("ready", flush=True)
                time.sleep(60)
        except KeyboardInterrupt:
            print("stopping", flush=True)
            Path(sys.argv[1]).write_text("stopped in order")
    """
    here, there = pty.openpty()
    own_terminal = f"import os; os.open({os.ttyname(there)!r}, os.O_RDWR)\n"  # a session's first is its own
    launcher = subprocess.Popen(
        [sys.executable, "-c", own_terminal + script, tmp_path / "said"],
        cwd=ROOT,
        stdin=there,
        stdout=there,
        stderr=there,
        start_new_session=True,
    )
    os.close(there)
    assert os.read(here, 5) == b"ready"
    os.close(here)
    assert launcher.wait(timeout=60) == 0
    assert (tmp_path / "said").read_text() == "stopped in order"
