"""A sweep started by a real launcher: observed, disturbed and waited for from outside."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.cell import Cell
from pipeline.measures.plan import is_done
from pipeline.tracking import read_points
from tests.faults.ranks import living_ranks
from tests.waiting import wait_for

ROOT = Path(__file__).resolve().parents[2]


@dataclass(kw_only=True)
class Sweep:
    """A sweep in a folder of runs, and the launchers that were started for it."""

    runs: Path
    """Folder of the sweeps; it contains the MLflow store, unless ``tracking_uri`` is given."""
    name: str
    options: list[str]
    """What the command line has besides the folders: recipe, ranks, nodes, ..."""
    raw: Path
    data_root: Path
    tracking_uri: str | None = None
    launchers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def folder(self) -> Path:
        return self.runs / self.name

    @property
    def store(self) -> str:
        """Address of the MLflow store."""
        return self.tracking_uri or f"sqlite:///{self.runs / 'mlflow.db'}"

    @property
    def log(self) -> Path:
        """What all launchers of the sweep print."""
        return self.runs / f"{self.name}.launcher.txt"

    def command(self, *words: str) -> list[str]:
        """``launch/sweep.py`` with a subcommand such as ``retry SWEEP``."""
        places = ["--raw", str(self.raw), "--data-root", str(self.data_root)]
        return [sys.executable, "-m", "tests.faults.recipes", *words, "--runs", str(self.runs)] + (
            [] if words else ["--cluster", "slurm", "--name", self.name, *self.options, *places]
        )

    @property
    def environment(self) -> dict[str, str]:
        there = {"MLFLOW_TRACKING_URI": self.tracking_uri} if self.tracking_uri else {}
        return os.environ | there | {"OMP_NUM_THREADS": "1"}

    def start(self, word: str = "") -> subprocess.Popen[bytes]:
        """Start a launcher; the first one submits, later ones find the jobs again; ``retry`` is a subcommand."""
        self.runs.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            launcher = subprocess.Popen(
                self.command(word, self.name) if word else self.command(),
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        self.launchers.append(launcher)
        return launcher

    def wait(self, bound_s: float = 600.0) -> int:
        """Exit status of the newest launcher, once it has ended."""
        try:
            return self.launchers[-1].wait(timeout=bound_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} is not done after {bound_s:.0f} s\n{self.story()}") from None

    def wait_until_done(self, bound_s: float = 600.0) -> None:
        """Return when every cell is done; the sweep's table, and the launcher that waits for it, may follow later."""
        wait_for(lambda: self.cells and all(is_done(cell) for cell in self.cells), bound_s, self.story)

    def close(self) -> None:
        """Kill remaining launchers; the cluster's fixture ends the jobs."""
        for launcher in self.launchers:
            launcher.kill()
            launcher.wait()

    @property
    def cells(self) -> list[Cell]:
        """The cells, as soon as the launcher has made them."""
        return [Cell.open(file) for file in sorted(self.folder.glob("*/config.json"))]

    def cell(self, number: int = 0, bound_s: float = 180.0) -> Cell:
        """One of the cells, in the order of their names, waited for."""
        wait_for(lambda: len(self.cells) > number, bound_s, self.story)
        return self.cells[number]

    def wait_for_step(self, cell: Cell, step: int, bound_s: float = 240.0) -> None:
        """Return when training has passed a step, and all of its ranks are alive: a restart may not have begun yet."""
        ranks = cell.config.training.ranks
        wait_for(
            lambda: newest_record(cell) >= step and len(living_ranks(cell)) >= ranks, bound_s, self.story
        )

    def wait_for_words(self, cell: Cell, words: str, times: int = 1, bound_s: float = 240.0) -> None:
        """Return when the log of rank 0 of a cell's training contains a text ``times`` times."""
        log = cell.log_file("train", 0)
        wait_for(lambda: log.is_file() and log.read_text().count(words) >= times, bound_s, self.story)

    def story(self) -> str:
        """The output of launchers and ranks, to explain a failed test."""
        log_text = [self.log, *sorted(self.folder.glob("*/log/*-rank0.txt"))]
        log_text += [
            *sorted(self.folder.glob("*/attempts.jsonl")),
            *sorted(self.folder.glob("jobs/*/*_log.err")),
        ]
        parts = [
            f"--- {path}\n{path.read_text(errors='replace')[-2500:]}" for path in log_text if path.is_file()
        ]
        return "\n".join(parts)


def newest_record(cell: Cell) -> int:
    """The last step that ``metrics.jsonl`` has a record of; -1 before the first."""
    try:
        return max(
            (p.step for p in read_points(cell.folder / "metrics.jsonl") if p.kind == "train"), default=-1
        )
    except FileNotFoundError:
        return -1
