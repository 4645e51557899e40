"""How many cells should share a GPU: some hundred steps of the first ones, 1, 2, 4 and 8 at once; imports no torch.

The rule: the smallest number whose images per second, of all cells together, are at least 95 % of the most that was
reached. What fails (out of memory) is left out, and more are not tried.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from data_prep.counted import counted
from data_prep.errors import RunError
from data_prep.files import atomic_write
from jobs.exit_status import exits_as_a_unit
from jobs.mps import mps_sentence
from jobs.pack import member_environment

COUNTS = (1, 2, 4, 8)
STEPS = 200
MOST_SECONDS = 60.0
"""Slow cells make fewer steps."""
SECONDS_TO_START = 900.0
GOOD_ENOUGH = 0.95


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """So many cells at once."""

    cells: int
    images_per_second: float | None
    """Of all together; None if one of them failed."""
    why: str = ""
    """Its last words."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Trials:
    """What was tried, and what follows from it."""

    chosen: int
    tried: list[Trial]
    mps: str = ""
    """Whether CUDA's MPS ran."""

    def write(self, file: Path) -> None:
        """Write it as JSON."""
        with atomic_write(file) as opened:
            opened.write(json.dumps(asdict(self), indent=1).encode() + b"\n")

    @classmethod
    def read(cls, file: Path) -> Trials | None:
        """From a file; None if there is none that can be read."""
        try:
            return cls.of(json.loads(file.read_bytes()))
        except (OSError, ValueError):
            return None

    @classmethod
    def of(cls, said: Any) -> Trials | None:
        """From JSON's values; None if they are others."""
        try:
            tried = [Trial(**one) for one in said["tried"]]
            return cls(chosen=int(said["chosen"]), tried=tried, mps=str(said["mps"]))
        except (ValueError, KeyError, TypeError):
            return None

    def __str__(self) -> str:
        speeds = ", ".join(
            f"{one.cells}: {f'failed ({one.why})' if one.images_per_second is None else f'{one.images_per_second:,.0f}'}"
            for one in self.tried
        )
        return f"{counted(self.chosen, 'cell')} at once; images/s of all by number of cells: {speeds}; {self.mps}"


def run_trial(config_files: Sequence[Path], result: Path, counts: Sequence[int] = COUNTS) -> None:
    """Try the numbers on this machine with the cells of ``config_files``, and write ``Trials`` to ``result``.

    Raises:
        SystemExit: see :func:`jobs.exit_status.exits_as_a_unit`; 2 if not even one cell makes a step.
    """
    with exits_as_a_unit():
        tried: list[Trial] = []
        for count in counts:
            tried.append(_trial([config_files[number % len(config_files)] for number in range(count)]))
            if tried[-1].images_per_second is None:
                break
        Trials(chosen=choose(tried), tried=tried, mps=mps_sentence()).write(result)


def choose(tried: Sequence[Trial]) -> int:
    """The number to keep; RunError if none worked."""
    speeds = {one.cells: one.images_per_second for one in tried if one.images_per_second is not None}
    if not speeds:
        raise RunError(f"a cell alone makes no step: {tried[0].why}")
    return min(count for count, speed in speeds.items() if speed >= GOOD_ENOUGH * max(speeds.values()))


def _trial(config_files: Sequence[Path]) -> Trial:
    """Start a process for each cell, let all make their steps at the same time, and end them."""
    environment = member_environment(os.environ, len(config_files))
    with contextlib.ExitStack() as held:
        members = [held.enter_context(_Member(file, environment)) for file in config_files]
        ready = [member.line() for member in members]
        if all(ready):
            began = time.perf_counter()
            for member in members:
                member.go()
            done = [member.line() for member in members]
            seconds = time.perf_counter() - began
            if all(done):
                images = sum(int(line) for line in done)
                return Trial(cells=len(members), images_per_second=images / seconds)
        why = next((words for member in members if (words := member.last_words())), "no answer")
        return Trial(cells=len(members), images_per_second=None, why=why)


class _Member:
    """A process of ``jobs.trial_member``."""

    def __init__(self, config_file: Path, environment: dict[str, str]) -> None:
        command = [sys.executable, "-m", "jobs.trial_member", str(config_file), str(STEPS), str(MOST_SECONDS)]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=environment, text=True
        )
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._read_errors, daemon=True)
        self._reader.start()
        self._watchdog = threading.Timer(SECONDS_TO_START + 2 * MOST_SECONDS, self._process.kill)
        self._watchdog.start()

    def __enter__(self) -> _Member:
        return self

    def __exit__(self, *_: object) -> None:
        self._watchdog.cancel()
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def line(self) -> str:
        """The next line that it prints; empty if it has ended."""
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()

    def go(self) -> None:
        """Let it make its steps."""
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def last_words(self) -> str:
        """The last line of its standard error, if it failed."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            if self._process.wait(timeout=5.0) != 0:
                self._reader.join()
                return self._errors[-1] if self._errors else f"status {self._process.returncode}"
        return ""

    def _read_errors(self) -> None:
        assert self._process.stderr is not None
        self._errors += [line.strip() for line in self._process.stderr if line.strip()]


def main() -> None:
    """``python -m jobs.trial JSON``: the arguments of ``run_trial`` as a list."""
    files, result, counts = json.loads(sys.argv[1])
    run_trial([Path(file) for file in files], Path(result), counts)


if __name__ == "__main__":
    main()
