"""Checks for everything that would make jobs fail, before the first one is submitted."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from launch.clusters.resources import Resources
from launch.clusters.slurm.disk_space import disk_finding
from launch.clusters.slurm.facts import CLIENT_TIMEOUT_S, ClusterFacts
from launch.clusters.slurm.findings import Finding
from launch.clusters.slurm.node_check import check_on_a_node
from pipeline.cell import Cell
from pipeline.tracking.address import on_network_disk


def preflight(
    resources: Resources,
    facts: ClusterFacts,
    *,
    sweep: Path,
    data: Sequence[Path],
    tracking: str,
    code: Path,
    cells: Sequence[Cell],
) -> list[Finding]:
    """What is fine, what is doubtful and what cannot work, each as one sentence.

    Args:
        resources: from ``launch.clusters.slurm.site.resolve``, for the largest number of ranks among the cells.
        facts: the cluster's configuration.
        sweep: the folder of the sweep; two small files are written there and removed.
        data: folders of the data sets; those that are not prepared yet are skipped.
        tracking: address of the tracking store; its password is neither shown nor sent.
        code: the folder that jobs import from.
        cells: those that are to run.
    """
    ranks = max((cell.config.training.ranks for cell in cells), default=1)
    findings = [*cluster_findings(resources, facts, len(cells)), disk_finding(sweep, cells)]
    if on_network_disk(tracking):
        findings.append(
            Finding(
                "warning",
                f"{tracking} is on a network disk, where writers on several nodes damage it: start 'mlflow server' and"
                " set MLFLOW_TRACKING_URI",
            )
        )
    findings.append(sbatch_finding(resources, facts, ranks, len(cells)))
    if findings[-1].level != "problem":
        findings += check_on_a_node(resources, folder=sweep, data=data, tracking=tracking, code=code)
    return findings


def cluster_findings(resources: Resources, facts: ClusterFacts, cells: int) -> list[Finding]:
    """What the cluster's settings mean for ``cells`` cells."""
    findings = [
        Finding("ok", "accounting is available: it records how each job ended")
        if facts.has_accounting
        else Finding(
            "warning",
            "the cluster has no accounting (AccountingStorageType): how a job ended is inferred from the files in its"
            " folder, and a killed one shows as gone",
        )
    ]
    findings += [
        Finding(
            "warning",
            f"a preempted job of partition {partition.name} is cancelled (PreemptMode=CANCEL): run the same"
            " command to resume from its checkpoint",
        )
        for partition in facts.named(resources.partition)
        if partition.preempt_mode == "CANCEL"
    ]
    if not facts.requeues:
        findings.append(
            Finding(
                "ok",
                "the cluster requeues only jobs that ask for it (JobRequeue=0), and these do (--requeue)",
            )
        )
    jobs = 2 * cells
    if jobs > facts.max_job_count:
        findings.append(
            Finding(
                "problem",
                f"{cells} cells are {jobs} jobs, and the cluster keeps {facts.max_job_count} at once (MaxJobCount):"
                " submit them in parts with --only or --seeds",
            )
        )
    elif jobs > facts.max_job_count // 2:
        findings.append(
            Finding(
                "warning",
                f"{cells} cells are {jobs} jobs, more than half of the {facts.max_job_count} that the cluster keeps at"
                " once for all its users (MaxJobCount)",
            )
        )
    return findings


def sbatch_finding(resources: Resources, facts: ClusterFacts, ranks: int, cells: int) -> Finding:
    """Whether sbatch accepts a job of ``ranks`` ranks, and why not; nothing is submitted."""
    why = _cannot_work(resources, facts, ranks)
    parameters = resources.parameters(ranks)
    options: dict[str, Any] = parameters | parameters.get("additional_parameters", {})
    options["signal"] = f"USR2@{options.pop('signal_delay_s')}"
    options.pop("additional_parameters", None)
    options["array"] = f"0-{max(1, min(cells, facts.max_array_size)) - 1}"
    flags = [
        f"--{name.replace('_', '-')}" + ("" if value is True else f"={value}")
        for name, value in options.items()
    ]
    try:
        done = subprocess.run(
            ["sbatch", "--test-only", *flags],
            input="#!/bin/bash\ntrue\n",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CLIENT_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        return Finding("problem", f"sbatch does not answer within {CLIENT_TIMEOUT_S} s: try again later")
    output = [
        line.removeprefix("sbatch: ").removeprefix("error: ") for line in done.stderr.splitlines() if line
    ]
    if done.returncode != 0:
        words = "; ".join(dict.fromkeys(output)) or "no message"
        why = _not_shown(resources, facts) or why or "request something else"
        return Finding("problem", f"sbatch refuses such jobs ({words}): {why}")
    if why is not None:
        return Finding("problem", f"such jobs would wait forever: {why}")
    return Finding(
        "ok", f"sbatch accepts such jobs: {output[-1].partition(' to ')[2] if output else 'no objection'}"
    )


def _not_shown(resources: Resources, facts: ClusterFacts) -> str | None:
    """The message for a partition that sinfo does not show: a hidden one, if sbatch accepts it."""
    requested = resources.partition.split(",") if resources.partition else []
    if all(facts.named(name) for name in requested):
        return None
    return f"this cluster's partitions are {_names(facts)} (--partition)"


def _names(facts: ClusterFacts) -> str:
    return ", ".join(partition.name for partition in facts.partitions)


def _cannot_work(resources: Resources, facts: ClusterFacts, ranks: int) -> str | None:
    """What is requested but not available, with what is available."""
    among = facts.named(resources.partition)
    if not among:
        return None
    if not any(partition.is_up for partition in among):
        return f"partition {among[0].name} accepts no jobs at the moment; all partitions: {_names(facts)}"
    limits = [partition.limit_minutes for partition in among]
    if resources.hours is not None and all(
        limit is not None and 60 * resources.hours > limit for limit in limits
    ):
        most = max(limit for limit in limits if limit is not None) / 60
        return f"partition {among[0].name} allows {most:g} h, but {resources.hours:g} are requested (--hours)"
    parameters = resources.parameters(ranks)
    nodes, gpus = parameters["nodes"], parameters.get("gpus_per_node", 0)
    most_gpus = max(partition.most_gpus for partition in among)
    if gpus > most_gpus:
        return (
            f"no node of partition {among[0].name} has {gpus} GPUs; the maximum is {most_gpus}"
            " (--gpus-per-node, --nodes)"
        )
    most_memory = max((kind.memory_mb for partition in among for kind in partition.kinds), default=0) / 1024
    if resources.memory_gb is not None and resources.memory_gb > most_memory:
        return (
            f"no node of partition {among[0].name} has {resources.memory_gb:g} GB; the maximum is"
            f" {most_memory:.1f} GB (--memory-gb)"
        )
    cpus = parameters["ntasks_per_node"] * (resources.cpus_per_task or 1)
    most_nodes = max(partition.nodes_with(gpus=gpus, cpus=cpus) for partition in among)
    if nodes > most_nodes:
        return (
            f"partition {among[0].name} has {most_nodes} nodes with {cpus} CPUs and {gpus} GPUs, but {nodes} are"
            " requested (--nodes, --cpus-per-task)"
        )
    return None
