"""Checks for everything that would make jobs fail, before the first one is submitted."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data_prep.counted import counted
from launch.clusters.resources import Resources
from launch.clusters.slurm.disk_space import disk_finding
from launch.clusters.slurm.facts import CLIENT_TIMEOUT_S, ClusterFacts
from launch.clusters.slurm.findings import Finding
from launch.clusters.slurm.job_parameters import job_parameters
from launch.clusters.slurm.node_check import check_on_a_node
from launch.clusters.slurm.nodes import away_words, nodes_of
from pipeline.cell import Cell
from pipeline.tracking.address import on_network_disk

FOR_SMALL_JOBS = (
    "give these a partition of their own (--small-partition, or small_partition in cluster.toml), or a GPU each"
    " (--small-gpus 1)"
)
"""What to do where a partition takes jobs with GPUs only, or no small ones."""

_LIMIT = re.compile(r"SubmitJob\w*Limit")
_NO_NODES = "node configuration is not available"
"""SLURM says this, too, of nodes that are configured as requested but drained or down."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Shape:
    """Jobs of a sweep with the same resources."""

    what: str
    """For a sentence: ``training``."""
    resources: Resources
    ranks: int
    jobs: int
    remedy: str | None = None
    """What to do if sbatch refuses them."""

    def is_like(self, other: Shape) -> bool:
        """Whether sbatch sees no difference."""
        return job_parameters(self.resources, self.ranks) == job_parameters(other.resources, other.ranks)


def preflight(
    shapes: Sequence[Shape],
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
        shapes: the kinds of jobs, the largest first; resources from ``launch.clusters.slurm.site.resolve``.
        facts: the cluster's configuration.
        sweep: the folder of the sweep; two small files are written there and removed.
        data: folders of the data sets; those that are not prepared yet are skipped.
        tracking: address of the tracking store; its password is neither shown nor sent.
        code: the folder that jobs import from.
        cells: those that are to run.
    """
    findings = [*cluster_findings(shapes[0].resources, facts, len(cells)), disk_finding(sweep, cells)]
    if on_network_disk(tracking):
        findings.append(
            Finding(
                "warning",
                f"{tracking} is on a network disk, where writers on several nodes damage it: start 'mlflow server' and"
                " set MLFLOW_TRACKING_URI",
            )
        )
    findings += sbatch_findings(shapes, facts)
    # Jobs of one partition are on the same nodes.
    partitions = {shape.resources.partition: shape.resources for shape in reversed(shapes)}
    for resources in reversed(partitions.values()):
        if findings[-1].level == "problem":
            break
        findings += check_on_a_node(resources, folder=sweep, data=data, tracking=tracking, code=code)
    return findings


def sbatch_findings(shapes: Sequence[Shape], facts: ClusterFacts) -> list[Finding]:
    """Whether sbatch accepts jobs of these shapes, until one is refused: it often explains the others."""
    findings: list[Finding] = []
    for number, shape in enumerate(shapes):
        if any(shape.is_like(earlier) for earlier in shapes[:number]):
            continue
        findings.append(sbatch_finding(shape, facts))
        if findings[-1].level == "problem":
            break
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
                f"{counted(cells, 'cell takes', 'cells take')} {counted(jobs, 'job')}, and the cluster"
                f" keeps {facts.max_job_count:,} at once (MaxJobCount): submit them in parts with --only or --seeds",
            )
        )
    elif jobs > facts.max_job_count // 2:
        findings.append(
            Finding(
                "warning",
                f"{counted(cells, 'cell takes', 'cells take')} {counted(jobs, 'job')}, more than half of"
                f" the {facts.max_job_count:,} that the cluster keeps at once for all its users (MaxJobCount)",
            )
        )
    return findings


def sbatch_finding(shape: Shape, facts: ClusterFacts) -> Finding:
    """Whether sbatch accepts such jobs, and why not; nothing is submitted."""
    resources, ranks = shape.resources, shape.ranks
    why = _cannot_work(resources, facts, ranks)
    parameters = job_parameters(resources, ranks)
    options: dict[str, Any] = parameters | parameters.get("additional_parameters", {})
    options["signal"] = f"USR2@{options.pop('signal_delay_s')}"
    for name in ("additional_parameters", "setup"):
        options.pop(name, None)
    options["array"] = f"0-{max(1, min(shape.jobs, facts.max_array_size)) - 1}"
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
        if _LIMIT.search(words) is not None:
            return _without_room(shape, facts, words)
        away = away_words(nodes_of(resources.partition)) if why is None and _NO_NODES in words else None
        if away is not None:
            where = resources.partition or "the default partition"
            return Finding(
                "warning",
                f"no node for {shape.what} can start a job at the moment: in {where}, {away}; the jobs wait until they are"
                " back",
            )
        why = _not_shown(resources, facts) or why or shape.remedy or "request something else"
        return Finding("problem", f"sbatch refuses jobs for {shape.what} ({words}): {why}")
    if why is not None:
        return Finding("problem", f"jobs for {shape.what} would wait forever: {why}")
    return Finding(
        "ok",
        f"sbatch accepts jobs for {shape.what}: {output[-1].partition(' to ')[2] if output else 'no objection'}",
    )


def _without_room(shape: Shape, facts: ClusterFacts, words: str) -> Finding:
    """Whether sbatch accepts one such job, since it has no room for all of them."""
    if shape.jobs > 1:
        return sbatch_finding(replace(shape, jobs=1), facts)
    return Finding(
        "warning",
        f"the queue has no room for a job for {shape.what} at the moment ({words}), so it is not known whether sbatch"
        " accepts such jobs otherwise",
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
    parameters = job_parameters(resources, ranks)
    nodes, requested = parameters["nodes"], resources.gpus.on_node(parameters["ntasks_per_node"])
    gpus = requested.count or 0
    most_gpus = max(partition.most_gpus_of(requested.kind) for partition in among)
    if gpus > most_gpus:
        types = sorted({kind for partition in among for kind in partition.gpu_types})
        of_type = "" if requested.kind is None else f" of type {requested.kind}"
        known = f", the types are {', '.join(types)}" if of_type and types else ""
        return (
            f"no node of partition {among[0].name} has {counted(gpus, 'GPU')}{of_type}; the maximum is {most_gpus}{known}"
            " (--gpus-per-node, --nodes)"
        )
    most_memory = max((kind.memory_mb for partition in among for kind in partition.kinds), default=0) / 1024
    if resources.memory_gb is not None and resources.memory_gb > most_memory:
        return (
            f"no node of partition {among[0].name} has {resources.memory_gb:g} GB; the maximum is"
            f" {most_memory:.1f} GB (--memory-gb)"
        )
    cpus = parameters["ntasks_per_node"] * (resources.cpus_per_task or 1)
    most_nodes = max(partition.nodes_with(gpus=gpus, cpus=cpus, kind=requested.kind) for partition in among)
    if nodes > most_nodes:
        return (
            f"partition {among[0].name} has {counted(most_nodes, 'node')} with {counted(cpus, 'CPU')} and"
            f" {counted(gpus, 'GPU')}, but {nodes} are requested (--nodes, --cpus-per-task)"
        )
    return None
