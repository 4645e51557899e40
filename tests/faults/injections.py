"""Each kind of fault as one function: it does the harm to a cell that trains, and undoes what does not mend itself."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pipeline.cell import Cell
from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.ranks import living_ranks
from tests.faults.story import held_back
from tests.faults.sweep import ROOT, Sweep
from tests.pipeline.tracking.stores import Server


@dataclass(frozen=True)
class Scene:
    """What a fault is done in."""

    cluster: Cluster
    sweep: Sweep
    server: Server
    chance: random.Random
    """Decides which rank, which node, how long."""


def truncate(checkpoint_file: Path) -> None:
    """Leave half of a file."""
    os.truncate(checkpoint_file, checkpoint_file.stat().st_size // 2)


def flip_a_bit(checkpoint_file: Path) -> None:
    """Change one bit in the middle of a file."""
    with checkpoint_file.open("r+b") as file:
        file.seek(checkpoint_file.stat().st_size // 2)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))


def kill_a_rank(scene: Scene, cell: Cell) -> None:
    scene.chance.choice(living_ranks(cell)).signal(signal.SIGKILL)


def stop_a_rank(scene: Scene, cell: Cell) -> None:
    """Of several ranks, one entirely: the others miss it. Of a single one, all but its watchdog."""
    rank = scene.chance.choice(living_ranks(cell))
    if cell.config.training.ranks > 1:
        rank.signal(signal.SIGSTOP)
    else:
        subprocess.Popen([sys.executable, "-m", "tests.faults.main_thread", str(rank.pid)], cwd=ROOT)


def kill_a_node(scene: Scene, cell: Cell) -> None:
    """Some nodes are back before SLURM misses them, some after it."""
    node = scene.chance.choice(living_ranks(cell)).node
    faults.kill_node(scene.cluster, node)
    time.sleep(scene.chance.uniform(1, 40))
    faults.start_node(scene.cluster, node)


def kill_a_slurmd(scene: Scene, cell: Cell) -> None:
    """The tasks of the node keep running; SLURM may start others before the daemon is back."""
    node = scene.chance.choice(living_ranks(cell)).node
    faults.kill_slurmd(scene.cluster, node)
    time.sleep(scene.chance.uniform(1, 60))
    faults.start_node(scene.cluster, node)


def requeue(scene: Scene, cell: Cell) -> None:
    scene.cluster.run(["scontrol", "requeue", living_ranks(cell)[0].job])


def preempt(scene: Scene, cell: Cell) -> None:
    faults.push_aside(scene.cluster, scene.chance.choice(living_ranks(cell)).node, seconds=1)


def damage_a_checkpoint(scene: Scene, cell: Cell) -> None:
    """Between two attempts."""
    with held_back(scene.cluster, living_ranks(cell)[0].job, cell):
        files = sorted(cell.checkpoints.glob("step-*.pt"))
        if files:
            scene.chance.choice([truncate, flip_a_bit])(files[-1])


def restart_slurmctld(scene: Scene, cell: Cell) -> None:
    """In good order, or killed."""
    faults.stop_controller(scene.cluster, scene.chance.choice([signal.SIGTERM, signal.SIGKILL]))
    time.sleep(scene.chance.uniform(1, 10))
    faults.start_controller(scene.cluster)


def kill_the_server(scene: Scene, cell: Cell) -> None:
    scene.server.stop()
    time.sleep(scene.chance.uniform(1, 20))
    scene.server.start()


def kill_the_launcher(scene: Scene, cell: Cell) -> None:
    scene.sweep.launchers[-1].kill()
    scene.sweep.launchers[-1].wait()
    time.sleep(scene.chance.uniform(0, 5))
    scene.sweep.start()


KINDS: dict[str, Callable[[Scene, Cell], None]] = {
    "rank killed": kill_a_rank,
    "rank hangs": stop_a_rank,
    "node killed, comes back": kill_a_node,
    "slurmd killed, comes back": kill_a_slurmd,
    "scontrol requeue": requeue,
    "preempted": preempt,
    "newest checkpoint damaged": damage_a_checkpoint,
    "slurmctld ended, started again": restart_slurmctld,
    "MLflow server killed, comes back": kill_the_server,
    "launcher killed, started again": kill_the_launcher,
}

END_THE_START = frozenset(
    (
        "rank killed",
        "rank hangs",
        "node killed, comes back",
        "scontrol requeue",
        "preempted",
        "newest checkpoint damaged",
    )
)
"""Faults after which SLURM has to restart the cell; after the others it keeps running."""
