"""From requested resources to those of a job: the command line, a site's files, and for the rest the cluster."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import LaunchError
from launch.clusters.gpus import Gpus
from launch.clusters.resources import HOURS, Resources
from launch.clusters.slurm.facts import ClusterFacts, NodeKind, Partition
from launch.clusters.slurm.site_file import read_site_file, site_file

MOST_CPUS_PER_TASK = 16


def resolve(
    requested: Resources,
    config_file: Path | None,
    facts: ClusterFacts | None,
    ranks: int,
    *,
    on_gpus: bool = True,
) -> tuple[Resources, list[str]]:
    """The resources of a job of ``ranks`` ranks, and a sentence for each part not given on the command line.

    In order of precedence: the command line, ``config_file``, the user's own file, sbatch's variables in the
    environment, what the cluster (``facts``) suggests, built-in defaults. ``on_gpus``: use the partition's
    GPUs if no number is given. Without ``facts``, and if they are not known, what is not given stays open.

    Raises:
        ConfigError: a file cannot be read or has an invalid entry.
        LaunchError: the ranks can never run as requested.
    """
    merged, sentences = as_given(requested, config_file)
    if facts is not None and facts.not_known is None:
        merged, chosen = choose(merged, facts, ranks, on_gpus=on_gpus)
        sentences += chosen
    elif facts is not None:
        sentences.append(_left_open(merged, str(facts.not_known)))
        merged = replace(merged, nodes=merged.nodes or _nodes_for_gpus(merged.gpus, ranks))
    return merged.completed(), sentences


def resolve_small(
    requested: Resources, config_file: Path | None, facts: ClusterFacts | None
) -> tuple[Resources, list[str]]:
    """The resources of a job that writes a shard, a manifest or a table, likewise."""
    small = as_given(requested, config_file)[0].of_small_jobs()
    sentences: list[str] = []
    if facts is not None and facts.not_known is None:
        small, sentences = choose(small, facts, 1, on_gpus=False)
    return small.completed(), sentences


def as_given(requested: Resources, config_file: Path | None) -> tuple[Resources, list[str]]:
    """What was requested on the command line, in the files and in sbatch's variables, with a sentence for each source."""
    merged, sentences = requested, []
    files = [] if config_file is None else [config_file]
    files += [site_file()] if site_file().is_file() else []
    for file in files:
        from_file = read_site_file(file)
        merged, before = merged.over(from_file), merged
        if merged != before:
            sentences.append(f"{_added(before, merged)}: from {file}")
    merged, before = merged.over(_environment()), merged
    if merged != before:
        sentences.append(f"{_added(before, merged)}: from sbatch's variables in the environment")
    return merged, sentences


def choose(
    requested: Resources, facts: ClusterFacts, ranks: int, *, on_gpus: bool = True
) -> tuple[Resources, list[str]]:
    """Fill unset fields from what the cluster has, with a sentence for each choice.

    Raises:
        LaunchError: there is no default partition and none was named, or the ranks can never run as requested.
    """
    among = facts.named(requested.partition)
    if not among:
        names = ", ".join(partition.name for partition in facts.partitions) or "none"
        if requested.partition is None:
            raise LaunchError(f"the cluster has no default partition: name one with --partition ({names})")
        # It may be hidden from sinfo: sbatch decides.
        return requested, [f"partition {requested.partition} is not among those that sinfo shows ({names})"]
    partition, sentences = among[0], []
    if requested.partition is None:
        requested = replace(requested, partition=partition.name)
        sentences.append(f"partition {partition.name}: the cluster's default")
    if requested.hours is None:
        limit = min((one.limit_minutes for one in among if one.limit_minutes is not None), default=None)
        hours, why = _hours(limit, partition.name)
        requested = replace(requested, hours=hours)
        sentences.append(f"time limit {hours:g} h: {why}")
    requested, more = _spread(requested, partition, ranks, on_gpus=on_gpus)
    return requested, sentences + more


def _environment() -> Resources:
    """What a user or site has set for every sbatch: read here, so that choices and checks respect it."""
    return Resources(
        partition=os.environ.get("SBATCH_PARTITION") or None,
        account=os.environ.get("SBATCH_ACCOUNT") or None,
        qos=os.environ.get("SBATCH_QOS") or None,
        constraint=os.environ.get("SBATCH_CONSTRAINT") or None,
    )


_READ_FROM_THE_CLUSTER = {
    "partition": "the default partition",
    "hours": f"the partition's time limit ({HOURS:g} h here)",
    "nodes": "the number of nodes",
    "gpus_per_node": "the GPUs of its nodes (none are requested here; one per rank if there are any)",
    "cpus_per_task": "the CPUs of its nodes (a rank gets its share)",
}
"""What a submission reads from the cluster for each field that is not given."""


def _left_open(given: Resources, why: str) -> str:
    """What is not known without the cluster."""
    unknown = [words for name, words in _READ_FROM_THE_CLUSTER.items() if getattr(given, name) is None]
    unknown.append("whether sbatch accepts the jobs")
    return (
        f"the cluster does not answer ({why}), so this is not known: {', '.join(unknown)}; arrays are split at SLURM's"
        " default of 1001 tasks"
    )


def _nodes_for_gpus(gpus: Gpus, ranks: int) -> int:
    """The fewest nodes that hold the ranks evenly, one per GPU."""
    return next(
        nodes
        for nodes in range(1, ranks + 1)
        if ranks % nodes == 0 and (not gpus.count or ranks // nodes <= gpus.count)
    )


def _hours(limit_minutes: float | None, partition: str) -> tuple[float, str]:
    if limit_minutes is None:
        return HOURS, f"partition {partition} has no limit"
    if limit_minutes >= 60 * HOURS:
        return HOURS, f"partition {partition} allows {limit_minutes / 60:g} h"
    # SLURM counts in whole minutes.
    return max(1, int(limit_minutes)) / 60, f"the limit of partition {partition}"


def _spread(
    requested: Resources, partition: Partition, ranks: int, *, on_gpus: bool
) -> tuple[Resources, list[str]]:
    """Nodes, GPUs and CPUs."""
    sentences: list[str] = []
    gpus = requested.gpus
    use_gpus = on_gpus and partition.most_gpus > 0 if gpus == Gpus() else gpus.count != 0
    nodes = requested.nodes
    if nodes is None:
        nodes = _fewest_nodes(requested, partition, ranks, use_gpus=use_gpus)
        sentences.append(f"{_many(nodes, 'node')}: the fewest that hold {_many(ranks, 'rank')} evenly")
    nodes = min(nodes, ranks)
    if ranks % nodes:
        raise LaunchError(
            f"{ranks} ranks cannot be spread evenly over {nodes} nodes; choose another number of nodes or ranks"
        )
    per_node = ranks // nodes
    if gpus.count is None:
        gpus = replace(gpus, count=per_node if use_gpus else 0)
        on_node = f"{_many(per_node, 'GPU')} on {'the' if nodes == 1 else 'each'} node: one per rank"
        without = "no GPUs" + ("" if partition.most_gpus else f": partition {partition.name} has none")
        sentences.append(on_node if use_gpus else without)
    gpus = gpus.on_node(per_node)
    cpus = requested.cpus_per_task
    if cpus is None:
        cpus = _share(partition, per_node, gpus)
        if cpus is not None:
            sentences.append(f"{_many(cpus, 'CPU')} per rank: its share of a node")
    return replace(requested, nodes=nodes, gpus_per_node=gpus.request, cpus_per_task=cpus), sentences


def _fewest_nodes(requested: Resources, partition: Partition, ranks: int, *, use_gpus: bool) -> int:
    """The smallest number of nodes that divides the ranks and that the partition has enough suitable nodes for."""
    most, type_ = requested.gpus.count or None, requested.gpus.kind
    for nodes in (count for count in range(1, ranks + 1) if ranks % count == 0):
        per_node = ranks // nodes
        if most is not None and per_node > most:
            continue
        cpus = per_node * (requested.cpus_per_task or 1)
        if partition.nodes_with(gpus=per_node if use_gpus else 0, cpus=cpus, kind=type_) >= nodes:
            return nodes
    kinds = ", ".join(
        f"{_many(kind.count, 'node')} with {_many(kind.cpus, 'CPU')} and {_many(kind.gpus, 'GPU')}{_types(kind)}"
        for kind in partition.kinds
    )
    with_gpus = "" if type_ is None else f" with a GPU of type {type_} each"
    raise LaunchError(
        f"{_many(ranks, 'rank')}{with_gpus} cannot be spread evenly over partition {partition.name}, which has"
        f" {kinds or 'no nodes'}; choose fewer ranks, or another partition"
    )


def _types(kind: NodeKind) -> str:
    return f" ({', '.join(f'{count} {name}' for name, count in kind.gpu_types)})" if kind.gpu_types else ""


def _share(partition: Partition, per_node: int, gpus: Gpus) -> int | None:
    """CPUs per rank on a node: its share per GPU, or the node's CPUs divided by its ranks."""
    wanted = gpus.count or 0
    holding = [
        kind for kind in partition.kinds if kind.gpus_of(gpus.kind) >= wanted and kind.cpus >= per_node
    ]
    if not holding:
        return None
    share = min(kind.cpus // max(per_node, kind.gpus if wanted else 0) for kind in holding)
    return max(1, min(MOST_CPUS_PER_TASK, share))


def _added(before: Resources, after: Resources) -> str:
    """What ``after`` has and ``before`` does not: "partition gpu, hours 12"."""
    old, tables = before.given(), ("sbatch", "small_sbatch")
    words = []
    for name, value in after.given().items():
        if name in tables:
            new = {option: text for option, text in value.items() if option not in old.get(name, {})}
            words += [f"{name} {option} {text}" for option, text in new.items()]
        elif name not in old:
            words.append(f"{name} {'; '.join(value) if isinstance(value, tuple) else value}")
    return ", ".join(words)


def _many(count: int, thing: str) -> str:
    return counted(count, thing)
