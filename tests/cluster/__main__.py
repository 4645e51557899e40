"""``python -m tests.cluster up|down|status|shell``: a SLURM of several nodes on this machine, for trying things."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from pathlib import Path

from data_prep.errors import LaunchError, report_user_errors
from tests.cluster import cluster as clusters
from tests.cluster.layout import CORES_PER_NODE, GPUS_PER_NODE
from tests.cluster.requirements import PROGRAM_PATH


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    actions = parser.add_subparsers(dest="action", required=True)
    for name, what in (
        ("up", "start a cluster, in the background"),
        ("down", "end it, and every process it started"),
        ("status", "show its nodes and jobs (exit status 1: none is up)"),
        ("shell", "open a shell whose SLURM commands speak to it"),
    ):
        action = actions.add_parser(name, help=what, description=what)
        action.add_argument(
            "--folder",
            type=Path,
            default=clusters.default_folder(),
            help="where its state lies (%(default)s)",
        )
        if name == "up":
            action.add_argument("--nodes", type=int, default=4, help="how many nodes (%(default)s)")
            action.add_argument(
                "--no-accounting", dest="accounting", action="store_false", help="without MariaDB: no sacct"
            )
    chosen = parser.parse_args(arguments)
    with report_user_errors():
        if chosen.action == "up":
            return _up(chosen.folder, nodes=chosen.nodes, accounting=chosen.accounting)
        if chosen.action == "down":
            return _down(chosen.folder)
        cluster = clusters.find(chosen.folder)
        if cluster is None:
            if chosen.action == "status":
                print(f"no cluster is up in {chosen.folder}")
                return 1
            raise LaunchError(
                f"no cluster is up in {chosen.folder}: start one with `python -m tests.cluster up`"
            )
        return _status(cluster) if chosen.action == "status" else _shell(cluster)


def _up(folder: Path, *, nodes: int, accounting: bool) -> int:
    before = clusters.find(folder)
    start = time.monotonic()
    cluster = clusters.up(folder, nodes=nodes, accounting=accounting)
    if before is not None:
        print(f"A SLURM of {cluster.size} is up already in {cluster.folder}.")
    else:
        print(
            f"Up in {time.monotonic() - start:.1f} s in {cluster.folder}: SLURM, {cluster.size};"
            f" each node has {CORES_PER_NODE} cores and {GPUS_PER_NODE} emulated GPUs."
        )
    where = f" --folder {cluster.folder}" if cluster.folder != clusters.default_folder() else ""
    print("To use it, type:")
    print(f"  export SLURM_CONF={cluster.conf}")
    if shutil.which("slurmctld") is None or shutil.which("sinfo") is None:
        print(f"  export PATH=$PATH:{PROGRAM_PATH}")
    print(f"or `python -m tests.cluster shell{where}`. To end it: `python -m tests.cluster down{where}`.")
    print(
        "Partitions: main (the default; its jobs give way and are requeued), urgent (its jobs take their place)."
    )
    return 0


def _down(folder: Path) -> int:
    print(f"The cluster in {folder} is down." if clusters.down(folder) else f"No cluster is in {folder}.")
    return 0


def _status(cluster: clusters.Cluster) -> int:
    for command in (["sinfo"], ["squeue"]):
        shown = cluster.run(command)
        sys.stdout.write(shown.stdout)
        sys.stderr.write(shown.stderr)
        if shown.returncode != 0:
            raise LaunchError(f"the cluster in {cluster.folder} does not answer: take it down, and up again")
    return 0


def _shell(cluster: clusters.Cluster) -> int:
    shell = os.environ.get("SHELL") or "/bin/sh"
    print(f"SLURM_CONF={cluster.conf}; leave with exit")
    sys.stdout.flush()
    os.execvpe(shell, [shell], cluster.env)


if __name__ == "__main__":
    raise SystemExit(main())
