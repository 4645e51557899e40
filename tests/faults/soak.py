"""Faults at random moments over one sweep on a real SLURM: ``python -m tests.faults.soak --seed 1 --faults 20``.

A cluster of four nodes and an MLflow server are started for it. Each cell is two ranks on two nodes, or with
``--cells-per-gpu`` one of several in a job. At the end each cell is compared with the same run left alone: parameters and
Adam's moments bit for bit, and every point of every metric.
Exit status: 0 when all are the same, 1 otherwise.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from types import FrameType

from data_prep.stages import prepare
from pipeline.cell import Cell
from pipeline.tracking import read_points
from tests.cluster import cluster as clusters
from tests.cluster.cluster import Cluster
from tests.data_prep.fixtures import write_raw
from tests.faults.injections import END_THE_START, KINDS, Scene
from tests.faults.ranks import Rank, living_ranks, wait_until_gone
from tests.faults.reference import Reference, assert_same_run, undisturbed
from tests.faults.runs import run
from tests.faults.sweep import Sweep, newest_record
from tests.pipeline.tracking.stores import Server
from tests.waiting import wait_for

SECONDS_TO_GO_ON = 600.0
"""A run that is not past the step of its fault by then is lost."""
EPOCHS = 160
"""Epochs of each cell: a minute on its own, several minutes among others."""
SEEDS = 2
SECONDS_FOR_THE_REST = 1800.0
"""How long the launcher may take after the last fault."""
_RECIPE = ["--recipe=faults-soak", "--hours=2", "--cpus-per-task=1"]
_LIKELY_TO_END_STEPS = 200
"""A run this near to its end might be over before the fault is done to it."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One fault and how it went."""

    kind: str
    moment_s: float
    """Since the launcher was started."""
    cell: str
    step: int
    """The last record of training before it."""
    stood_still_s: float | None
    """The longest time between two records of the cell since then; None if it did not continue."""


@dataclass(kw_only=True)
class Report:
    """All that a soak found."""

    seed: int
    faults: list[Fault] = field(default_factory=list)
    cells: int = 0
    different: dict[str, str] = field(default_factory=dict)
    """Differences from the undisturbed run, by cell."""
    seconds: float = 0.0
    launcher_status: int = 0

    @property
    def is_good(self) -> bool:
        survived = all(fault.stood_still_s is not None for fault in self.faults)
        return survived and not self.different and self.launcher_status == 0


def soak(scene: Scene, kinds: Sequence[str], report: Report) -> list[Sweep]:
    """Start the sweep, and do the faults to it in their order, at moments and places that chance decides.

    Returns:
        The sweep, and, if it ended before the faults did, those started after it.
    """
    sweeps = [scene.sweep]
    try:
        _disturb(scene, kinds, report, sweeps)
    finally:
        for sweep in sweeps:
            sweep.close()
    return sweeps


def _disturb(scene: Scene, kinds: Sequence[str], report: Report, sweeps: list[Sweep]) -> None:
    began = time.monotonic()
    scene.sweep.start()
    for kind in kinds:
        time.sleep(scene.chance.uniform(0, 4))
        cell = _one_that_trains(scene)
        while cell is None:
            _finish(scene, report)
            scene = replace(scene, sweep=replace(scene.sweep, name=f"again-{len(sweeps)}", launchers=[]))
            sweeps.append(scene.sweep)
            scene.sweep.start()
            cell = _one_that_trains(scene)
        moment, moment_ms = time.monotonic() - began, time.time_ns() // 1_000_000
        step, ranks = newest_record(cell), living_ranks(cell)
        _say(f"{moment:6.0f} s  {kind}: {cell.name}, step {step}")
        KINDS[kind](scene, cell)
        stood_still = _longest_gap(cell, moment_ms) if _goes_on(cell, kind, ranks) else None
        report.faults.append(
            Fault(
                kind=kind,
                moment_s=round(moment, 1),
                cell=f"{scene.sweep.name}/{cell.name}",
                step=step,
                stood_still_s=stood_still,
            )
        )
        report.seconds = round(time.monotonic() - began, 1)
        _say(f"{time.monotonic() - began:6.0f} s    it stood still for {stood_still} s")
    _finish(scene, report)
    report.seconds = round(time.monotonic() - began, 1)


def _finish(scene: Scene, report: Report) -> None:
    """Wait until the sweep is over; its launcher's status is the report's."""
    report.launcher_status = max(report.launcher_status, scene.sweep.wait(bound_s=SECONDS_FOR_THE_REST))


def compare(sweep: Sweep, references: dict[int, Reference], report: Report) -> None:
    """Compare each cell with the undisturbed run of its seed."""
    report.cells += len(sweep.cells)
    for cell in sweep.cells:
        try:
            assert_same_run(cell, references[cell.config.seed], sweep.store)
        except (AssertionError, OSError, ValueError) as error:
            report.different[f"{sweep.name}/{cell.name}"] = (str(error) or type(error).__name__)[:500]


def deck(chance: random.Random, count: int) -> list[str]:
    """``count`` faults, shuffled; no kind is repeated before all have occurred."""
    cards: list[str] = []
    while len(cards) < count:
        cards += chance.sample(list(KINDS), len(KINDS))
    return cards[:count]


def _one_that_trains(scene: Scene, bound_s: float = 600.0) -> Cell | None:
    """A cell with all its ranks running and some way to go; None if the sweep is over."""
    deadline = time.monotonic() + bound_s
    while time.monotonic() < deadline:
        cells = scene.sweep.cells
        if cells and all(cell.is_trained() for cell in cells):
            return None
        if not cells and scene.sweep.launchers[-1].poll() is not None:
            raise AssertionError(f"the launcher has ended\n{scene.sweep.story()}")
        ready = [cell for cell in cells if _is_under_way(cell)]
        if ready:
            return scene.chance.choice(ready)
        time.sleep(0.2)
    raise AssertionError(f"no cell trains for {bound_s:.0f} s\n{scene.sweep.story()}")


def _goes_on(cell: Cell, kind: str, ranks: list[Rank]) -> bool:
    """Whether training continues within the timeout, in a new start if the fault ends the old one."""
    try:
        if kind in END_THE_START:
            wait_until_gone(ranks, SECONDS_TO_GO_ON, lambda: "")
        step = newest_record(cell)
        wait_for(lambda: newest_record(cell) > step or cell.is_trained(), SECONDS_TO_GO_ON)
    except AssertionError:
        return False
    return True


def _longest_gap(cell: Cell, moment_ms: int) -> float:
    """The longest time in seconds between two successive records of training, around or after a moment."""
    times = [p.time_ms for p in read_points(cell.folder / "metrics.jsonl") if p.kind == "train"]
    gaps = [later - earlier for earlier, later in pairwise(times) if later > moment_ms]
    return round(max(gaps, default=0) / 1000, 1)


def _is_under_way(cell: Cell) -> bool:
    last = cell.last_step() or 0
    if not 0 <= newest_record(cell) < last - _LIKELY_TO_END_STEPS:
        return False
    return len(living_ranks(cell)) == cell.config.training.ranks


def table(report: Report) -> str:
    """The faults, a line each, and the outcome."""
    lines = [f"{'moment':>8}  {'fault':34}{'cell':44}{'step':>6}  stood still"]
    for fault in report.faults:
        still = "forever" if fault.stood_still_s is None else f"{fault.stood_still_s:.1f} s"
        lines.append(f"{fault.moment_s:6.0f} s  {fault.kind:34}{fault.cell:44}{fault.step:6d}  {still}")
    same = report.cells - len(report.different)
    lines.append(
        f"seed {report.seed}: {len(report.faults)} faults in {report.seconds:.0f} s; {same} of {report.cells} cells are"
        " bit for bit, and point for point, the runs that were left alone"
    )
    lines += [f"  {name}: {what}" for name, what in report.different.items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line."""
    signal.signal(signal.SIGTERM, _end_in_order)
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.soak", description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument(
        "--seed", type=int, default=1, help="decides what happens where and when (%(default)s)"
    )
    parser.add_argument("--faults", type=int, default=20, help="how many (%(default)s)")
    parser.add_argument(
        "--cells-per-gpu", type=int, help="cells that share a job; each then has one rank instead of two"
    )
    parser.add_argument("--json", type=Path, default=Path("build/soak.json"), help="the report (%(default)s)")
    parser.add_argument(
        "--keep", type=Path, help="a new folder that runs and logs stay in; else they are removed"
    )
    given = parser.parse_args(arguments)
    with contextlib.ExitStack() as held:
        if given.keep is None:
            folder = Path(held.enter_context(tempfile.TemporaryDirectory(prefix="traitvae-soak-")))
        else:
            folder = given.keep.absolute()
            folder.mkdir(parents=True)
        report = Report(seed=given.seed)
        ranks = 2 if given.cells_per_gpu is None else 1
        jobs = ["--nodes=2"] if ranks == 2 else [f"--cells-per-gpu={given.cells_per_gpu}"]
        scene = _prepare(folder, random.Random(given.seed), held, [*jobs, f"--ranks={ranks}"])
        held.callback(_tell, report, given.json)  # however it ends
        sweeps = soak(scene, deck(scene.chance, given.faults), report)
        references = _left_alone(folder, ranks)
        for sweep in sweeps:
            compare(sweep, references, report)
    return 0 if report.is_good else 1


def _tell(report: Report, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(asdict(report), indent=1) + "\n")
    print(table(report), flush=True)


def _prepare(folder: Path, chance: random.Random, held: contextlib.ExitStack, jobs: list[str]) -> Scene:
    """A cluster, a server, and a sweep that is not started yet."""
    cluster = _cluster(held)
    raw = write_raw(folder / "raw")
    (folder / "server").mkdir()
    prepare("idx_folder", raw=raw, root=folder / "data", workers=1, formats="arrow", progress=False)
    server = Server(folder / "server")
    held.callback(server.close)
    server.start()
    sweep = Sweep(
        runs=folder / "runs",
        name="soak",
        options=[*_RECIPE, *jobs, f"--epochs={EPOCHS}"],
        raw=raw,
        data_root=folder / "data",
        tracking_uri=server.uri,
    )
    return Scene(cluster, sweep, server, chance)


def _left_alone(folder: Path, ranks: int) -> dict[int, Reference]:
    """What the cells of each seed leave when nothing happens to them."""
    (data_set,) = (manifest.parent for manifest in (folder / "data").glob("*/manifest.json"))
    longer = [
        replace(run(seed), training=replace(run(seed).training, epochs=EPOCHS, ranks=ranks))
        for seed in range(SEEDS)
    ]
    return {config.seed: undisturbed(config, data_set, folder / "undisturbed") for config in longer}


def _cluster(held: contextlib.ExitStack) -> Cluster:
    place = Path(tempfile.gettempdir()).resolve() / f"traitvae-soak-cluster-{os.getpid()}"
    held.callback(clusters.down, place)
    cluster = clusters.up(place)
    os.environ["SLURM_CONF"] = str(cluster.conf)
    return cluster


def _end_in_order(number: int, frame: FrameType | None) -> None:
    """Exit through all context managers, so that the cluster and the server are stopped."""
    raise SystemExit(f"ended by signal {number}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    raise SystemExit(main())
