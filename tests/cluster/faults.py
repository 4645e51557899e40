"""Fault injection on a cluster: nodes that die, daemons that die alone, jobs that are preempted."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path

from data_prep.errors import LaunchError
from tests.cluster import daemons, processes
from tests.cluster.cluster import Cluster

_USER_SIGNAL = "SlurmctldParameters=preempt_send_user_signal"


def kill_node(cluster: Cluster, node: str) -> None:
    """Kill slurmd and all that runs on the node at once, as a power cut would."""
    left = processes_of(cluster, node)
    while left:  # what was starting during the first pass is found in the second
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        time.sleep(0.05)
        left = processes_of(cluster, node)


def kill_slurmd(cluster: Cluster, node: str) -> None:
    """Kill only slurmd: the tasks of the node keep running, and SLURM will consider them lost."""
    os.kill(_daemon(cluster, f"slurmd-{node}"), signal.SIGKILL)


def start_node(cluster: Cluster, node: str) -> None:
    """Bring a node back whose slurmd was killed."""
    daemons.start_node(cluster.layout, node)


def stop_controller(cluster: Cluster, number: signal.Signals = signal.SIGTERM) -> None:
    """Stop slurmctld as an upgrade does, and wait until it is gone; jobs continue, but no client gets an answer.

    Killed (SIGKILL), it forgets what happened since it last wrote its state, which it does every few seconds.
    """
    pid = _daemon(cluster, "slurmctld")
    os.kill(pid, number)
    while any(process.pid == pid for process in processes.living(cluster.layout)):
        time.sleep(0.05)


def start_controller(cluster: Cluster) -> None:
    """Restart slurmctld; it restores its state from disk."""
    daemons.start_controller(cluster.layout)


def mend(cluster: Cluster) -> None:
    """Restart all daemons that were killed, and restore the settings."""
    running = {process.name for process in processes.living(cluster.layout)}
    if "slurmctld" not in running:
        start_controller(cluster)
    for node in cluster.layout.node_names:
        try:
            _daemon(cluster, f"slurmd-{node}")
        except LaunchError:
            start_node(cluster, node)
    signal_before_preemption(cluster, True)


def push_aside(cluster: Cluster, node: str, seconds: float) -> str:
    """Submit a job of the urgent partition that occupies the node for ``seconds``; returns its id."""
    options = ["--parsable", "--partition=urgent", "--exclusive", f"--nodelist={node}", "--output=/dev/null"]
    done = cluster.run(["sbatch", *options, f"--wrap=sleep {seconds:g}"])
    if done.returncode != 0:
        raise LaunchError(f"sbatch refused the urgent job: {done.stderr.strip()}")
    return done.stdout.strip()


def signal_before_preemption(cluster: Cluster, wanted: bool) -> None:
    """Make the cluster send a preempted job its own signal (``--signal``), or only SIGTERM."""
    there = cluster.conf.read_text()
    lines = [line for line in there.splitlines() if not line.startswith("SlurmctldParameters=")]
    at = next(number for number, line in enumerate(lines) if line.startswith("SchedulerParameters="))
    if wanted:
        lines.insert(at, _USER_SIGNAL)
    text = "\n".join(lines) + "\n"
    if text == there:
        return
    cluster.conf.write_text(text)
    done = cluster.run(["scontrol", "reconfigure"])
    if done.returncode != 0:
        raise LaunchError(f"scontrol reconfigure: {done.stderr.strip()}")


def processes_of(cluster: Cluster, node: str) -> list[processes.Process]:
    """slurmd, steps and tasks of a node, also those that outlived its slurmd."""
    alive = processes.living(cluster.layout)
    with contextlib.suppress(LaunchError):
        slurmd = _daemon(cluster, f"slurmd-{node}")
        mine = {_namespace(slurmd)}
        return [process for process in alive if _namespace(process.pid) in mine | _of_tasks(alive, node)]
    mine = _of_tasks(alive, node)
    return [process for process in alive if _namespace(process.pid) in mine]


def _of_tasks(alive: list[processes.Process], node: str) -> set[str]:
    """Namespaces of the processes that SLURM started as tasks on the node."""
    entry = f"SLURMD_NODENAME={node}".encode()
    found = set()
    for process in alive:
        with contextlib.suppress(OSError):
            if entry in Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0"):
                found.add(_namespace(process.pid))
    return found - {""}


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError:
        return ""


def _daemon(cluster: Cluster, name: str) -> int:
    """Process id of a daemon of this cluster; LaunchError if it does not run."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((cluster.layout.state / f"{name}.pid").read_text())
        if any(process.pid == pid for process in processes.living(cluster.layout)):
            return pid
    raise LaunchError(f"{name} of the cluster in {cluster.folder} does not run")
