from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys, threading, time
from pathlib import Path
from pipeline.training.watchdog import watching_for_hangs

def waits_for_another():
    threading.Event().wait()

with watching_for_hangs(1.0, Path(sys.argv[1])) as heartbeat:
    for _ in range(int(sys.argv[2])):
        time.sleep(0.1)
        heartbeat()
    if sys.argv[3] == "hangs":
        waits_for_another()
time.sleep(1.5)
"""


def run(log: Path, steps: int, then: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", PROGRAM, str(log), str(steps), then]
    return subprocess.run(command, capture_output=True, timeout=180)


def test_a_process_that_hangs_ends_with_its_stacks_in_its_log(tmp_path: Path):
    log = tmp_path / "log" / "train-rank0.txt"
    log.parent.mkdir()
    log.write_text("what was said before\n")
    ended = run(log, 1, "hangs")
    assert ended.returncode == 1
    text = log.read_text()
    assert text.startswith("what was said before\nTimeout (0:00:01)!\n")
    assert "in waits_for_another" in text


def test_a_process_with_heartbeats_is_left_alone_and_so_is_what_follows(tmp_path: Path):
    log = tmp_path / "train-rank0.txt"
    ended = run(log, 20, "ends")  # for twice as long as a hang may last
    assert ended.returncode == 0, ended.stderr
    assert log.read_text() == ""
