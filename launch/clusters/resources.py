"""Resources requested from a cluster: on the command line, in a site's file, or by default."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from data_prep.errors import ConfigError
from launch.clusters.gpus import Gpus
from launch.clusters.slurm.sbatch_options import for_small_jobs, gpus_of_gres, long_name
from launch.command_line import described
from pipeline.field_checks import check_at_least

HOURS = 24.0
SIGNAL_DELAY_S = 90
RETRIES = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """Resources of a job; what is not given is read from the cluster, or left to it."""

    partition: Annotated[str | None, described("NAME")] = None
    """partition (slurm; default: the cluster's)"""
    account: Annotated[str | None, described("NAME")] = None
    """account to charge (slurm; default: the user's)"""
    qos: Annotated[str | None, described("NAME")] = None
    """quality of service (slurm)"""
    constraint: Annotated[str | None, described("FEATURES")] = None
    """required features of the nodes, such as `a100|h100` (slurm)"""
    nodes: Annotated[int | None, described("N")] = None
    """number of nodes for the ranks of a run (slurm; default: as few as possible)"""
    gpus_per_node: Annotated[int | str | None, described("GPUS")] = None
    """GPUs of a job on each node, such as 4, a100:4, or a100 (slurm), or of this machine in total (local); 0: none
    (default: one per rank)"""
    cpus_per_task: Annotated[int | None, described("N")] = None
    """CPUs per rank (slurm; default: its share of the node, at most 16)"""
    memory_gb: Annotated[float | None, described("GB")] = None
    """memory per node in GB, 0: all of it (slurm; default: the cluster's)"""
    hours: Annotated[float | None, described("HOURS")] = None
    """time limit, after which a job resumes from its checkpoint (slurm; default: the partition's, at most 24)"""
    signal_delay_s: Annotated[int | None, described("SECONDS")] = None
    """seconds before the time limit at which a job is signalled to write a checkpoint (slurm; default: 90)"""
    cells_per_gpu: Annotated[int | Literal["auto"] | None, described("N|auto")] = None
    """cells that share a GPU (without GPUs: a job, or this machine); auto: the fastest of 1, 2, 4 and 8 (default: 1)"""
    max_parallel: Annotated[int | None, described("N")] = None
    """number of cells at once (default: as many as the CPUs (local) or the cluster (slurm) allow)"""
    retries: Annotated[int | None, described("N")] = None
    """how often a crashed cell is restarted without a newer checkpoint in between (default: 2)"""
    sbatch: Annotated[dict[str, str], described("NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch: `--sbatch mail-type END exclusive true`; flags take `true` (slurm)"""
    setup: Annotated[tuple[str, ...], described("LINE ...")] = ()
    """lines that a job's shell runs first: `--setup "module load cuda" "source env.sh"` (slurm)"""
    network_interface: Annotated[str | None, described("NAME")] = None
    """network interface between the nodes, such as ib0, if gloo and NCCL do not find it: their GLOO_SOCKET_IFNAME and
    NCCL_SOCKET_IFNAME (slurm)"""
    small_partition: Annotated[str | None, described("NAME")] = None
    """partition of the small jobs, which write shards, manifests and tables (slurm; default: that of the others)"""
    small_account: Annotated[str | None, described("NAME")] = None
    """account of the small jobs (slurm; default: that of the others)"""
    small_qos: Annotated[str | None, described("NAME")] = None
    """quality of service of the small jobs (slurm)"""
    small_constraint: Annotated[str | None, described("FEATURES")] = None
    """required features of the small jobs' nodes (slurm)"""
    small_gpus: Annotated[int | str | None, described("GPUS")] = None
    """GPUs of a small job, such as 1 or a100:1, for partitions that demand one (slurm; default: none)"""
    small_cpus: Annotated[int | None, described("N")] = None
    """CPUs of a small job (slurm; default: 1)"""
    small_memory_gb: Annotated[float | None, described("GB")] = None
    """memory of a small job in GB (slurm; default: that of the others, if it is not all of the node)"""
    small_hours: Annotated[float | None, described("HOURS")] = None
    """time limit of a small job (slurm; default: that of the others)"""
    small_sbatch: Annotated[dict[str, str], described("NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch for the small jobs (default: those of the others, without those for GPUs and whole nodes)"""

    def __post_init__(self) -> None:
        for name in ("partition", "account", "qos", "constraint"):
            _check_text(name, getattr(self, name))
            _check_text(f"small_{name}", getattr(self, f"small_{name}"))
        check_at_least(1, self, "nodes", "cpus_per_task", "max_parallel", "small_cpus")
        check_at_least(0, self, "signal_delay_s", "retries")
        if isinstance(self.cells_per_gpu, int):
            check_at_least(1, self, "cells_per_gpu")
        elif self.cells_per_gpu not in (None, "auto"):
            raise ConfigError(f"cells_per_gpu is {self.cells_per_gpu!r}; it must be a number or 'auto'")
        for prefix in ("", "small_"):
            self._check_limits(prefix)
            self._take_gpus(prefix)
        if self.hours is not None and (self.signal_delay_s or 0) >= 3600 * self.hours:
            raise ConfigError(
                f"signal_delay_s is {self.signal_delay_s}, which is all of the {self.hours:g} hours"
            )
        for line in self.setup:
            _check_text("setup", line)
        if self.network_interface is not None and not re.fullmatch(r"[\w.:=^,-]+", self.network_interface):
            raise ConfigError(
                f"network_interface is {self.network_interface!r}; it must be a name such as eth0"
            )

    def _check_limits(self, prefix: str) -> None:
        # SLURM counts in whole minutes and whole MB, and treats 0 minutes as "no limit".
        hours, memory = getattr(self, f"{prefix}hours"), getattr(self, f"{prefix}memory_gb")
        if hours is not None and not (math.isfinite(hours) and 60 * hours >= 1):
            raise ConfigError(f"{prefix}hours is {hours}; it must be at least one minute (0.017)")
        if memory is not None and not (math.isfinite(memory) and (1024 * memory >= 1 or memory == 0)):
            raise ConfigError(
                f"{prefix}memory_gb is {memory}; it must be at least 0.001, or 0 for all of the node"
            )

    def _take_gpus(self, prefix: str) -> None:
        """Have GPUs in one field, also those that are requested with sbatch's option gres."""
        field_name = "small_gpus" if prefix else "gpus_per_node"
        gpus = Gpus.parsed(getattr(self, field_name), field_name)
        options = {long_name(name): text for name, text in getattr(self, f"{prefix}sbatch").items()}
        for name, text in options.items():
            _check_text(f"sbatch option {name}", text, or_empty=True)
        if "gres" in options:
            requested, others = gpus_of_gres(options.pop("gres"))
            if requested is not None and gpus != Gpus() and gpus.count != 0:
                raise ConfigError(
                    f"GPUs are requested twice: {field_name} is {gpus.request}, and the sbatch option gres has"
                    f" {requested.request}"
                )
            gpus = requested or gpus
            options |= {"gres": others} if others else {}
        object.__setattr__(self, field_name, gpus.request)
        object.__setattr__(self, f"{prefix}sbatch", options)

    @property
    def gpus(self) -> Gpus:
        """``gpus_per_node`` as number and type."""
        return Gpus.parsed(self.gpus_per_node)

    def given(self) -> dict[str, Any]:
        """The fields that are set."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value not in (None, {}, ())}

    def over(self, other: Resources) -> Resources:
        """These, with unset fields taken from ``other``; further sbatch options are merged one by one."""
        merged = {name: getattr(other, name) | getattr(self, name) for name in ("sbatch", "small_sbatch")}
        return Resources(**(other.given() | self.given() | merged))

    def of_small_jobs(self) -> Resources:
        """Those of a job that writes a shard, a manifest or a table: one CPU, and nothing that is for training."""
        # What holds in one partition (limits, features, qualities of service) need not exist in another.
        kept = self if self.small_partition is None else Resources(account=self.account)
        return Resources(
            partition=self.small_partition or self.partition,
            account=self.small_account or self.account,
            qos=self.small_qos or kept.qos,
            constraint=self.small_constraint or kept.constraint,
            nodes=1,
            gpus_per_node=self.small_gpus or 0,
            cpus_per_task=self.small_cpus or 1,
            memory_gb=(kept.memory_gb or None) if self.small_memory_gb is None else self.small_memory_gb,
            hours=kept.hours if self.small_hours is None else self.small_hours,
            max_parallel=self.max_parallel,
            retries=self.retries,
            sbatch=for_small_jobs(self.sbatch) | self.small_sbatch,
            setup=self.setup,
        )

    def completed(self) -> Resources:
        """These, with unset fields at their built-in defaults."""
        hours = HOURS if self.hours is None else self.hours
        # SLURM may send the signal a minute early: 90 s before a limit of a few minutes would leave no time to work.
        delay = min(SIGNAL_DELAY_S, int(600 * hours))
        return self.over(
            Resources(nodes=1, gpus_per_node=0, hours=hours, signal_delay_s=delay, retries=RETRIES)
        )


def _check_text(name: str, text: str | None, *, or_empty: bool = False) -> None:
    if text is None:
        return
    if not text.strip() and not or_empty:
        raise ConfigError(f"{name} is empty; omit it, or give a value")
    if not text.isprintable():
        raise ConfigError(f"{name} is {text!r}; line breaks and other control characters are not allowed")
