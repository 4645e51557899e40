"""What a person asks of a cluster: on the command line, in a file for their site, or not at all."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass, field
from typing import Annotated, Any

import tyro

from data_prep.errors import ConfigError, LaunchError

HOURS = 24.0
SIGNAL_DELAY_S = 90
RETRIES = 2

_OWN_FIELD = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "nodes": "nodes",
    "gpus": "gpus_per_node",
    "gpus-per-node": "gpus_per_node",
    "gpus-per-task": "gpus_per_node",
    "ntasks": "ranks (of the run)",
    "ntasks-per-node": "nodes",
    "cpus-per-task": "cpus_per_task",
    "mem": "memory_gb",
    "time": "hours",
    "constraint": "constraint",
    "signal": "signal_delay_s",
}
"""Options of sbatch that have a field here: given twice, one of the two would silently lose."""

_OURS = frozenset({
    "array", "chdir", "clusters", "comment", "dependency", "error", "help", "input", "job-name",
    "kill-on-invalid-dep", "no-kill", "no-requeue", "open-mode", "output", "parsable", "quiet", "requeue",
    "test-only", "usage", "version", "wait", "wrap",
})  # fmt: skip
"""Options of sbatch that the launcher itself sets or counts on."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Resources:
    """What jobs ask of the cluster; what nobody names is read from the cluster, or left to it."""

    partition: str | None = None
    """partition (slurm); the cluster's default one where none is named"""
    account: str | None = None
    """account to charge (slurm); the user's default one where none is named"""
    qos: str | None = None
    """quality of service (slurm)"""
    constraint: str | None = None
    """features that the nodes must have, such as `a100|h100` (slurm)"""
    nodes: int | None = None
    """nodes over which the ranks of a run are spread; as few as hold them where none is given (slurm)"""
    gpus_per_node: int | None = None
    """GPUs of a job on each node (slurm), or of this machine in all (local); 0: none; one per rank where none is given"""
    cpus_per_task: int | None = None
    """processors for each rank; its share of the node, at most 16, where none is given (slurm)"""
    memory_gb: float | None = None
    """memory on each node in GB; the cluster's default where none is given (slurm)"""
    hours: float | None = None
    """time limit, after which a job goes on from its checkpoint; the partition's, at most 24, where none is given (slurm)"""
    signal_delay_s: int | None = None
    """seconds before its time limit at which a job is told to write a checkpoint; 90 where none is given (slurm)"""
    max_parallel: int | None = None
    """cells at once; as many as there are processors for (local), or as the cluster lets run (slurm), where none is given"""
    retries: int | None = None
    """how often a cell that crashed is started again without having come further; 2 where none is given"""
    sbatch: Annotated[dict[str, str], tyro.conf.arg(metavar="NAME VALUE ...")] = field(default_factory=dict)
    """further options of sbatch: `--sbatch mail-type END exclusive true`; one that takes no value has `true` (slurm)"""

    def __post_init__(self) -> None:
        for name in ("partition", "account", "qos", "constraint"):
            _check_text(name, getattr(self, name))
        for name, least in (
            ("nodes", 1),
            ("gpus_per_node", 0),
            ("cpus_per_task", 1),
            ("signal_delay_s", 0),
            ("max_parallel", 1),
            ("retries", 0),
        ):
            value = getattr(self, name)
            if value is not None and value < least:
                raise ConfigError(f"{name} is {value}; it must be at least {least}")
        # SLURM counts in whole minutes and whole MB, and takes a 0 for "no limit".
        if self.hours is not None and not (math.isfinite(self.hours) and 60 * self.hours >= 1):
            raise ConfigError(f"hours is {self.hours}; it must be at least one minute, which is 0.017")
        if self.memory_gb is not None and not (math.isfinite(self.memory_gb) and 1024 * self.memory_gb >= 1):
            raise ConfigError(f"memory_gb is {self.memory_gb}; it must be at least 0.001")
        if self.hours is not None and (self.signal_delay_s or 0) >= 3600 * self.hours:
            raise ConfigError(
                f"signal_delay_s is {self.signal_delay_s}, which is all of the {self.hours:g} hours"
            )
        object.__setattr__(self, "sbatch", {_option(name): text for name, text in self.sbatch.items()})
        for name, text in self.sbatch.items():
            _check_text(f"sbatch option {name}", text, or_empty=True)

    def given(self) -> dict[str, Any]:
        """The fields that have a value."""
        values = {entry.name: getattr(self, entry.name) for entry in dataclasses.fields(self)}
        return {name: value for name, value in values.items() if value not in (None, {})}

    def over(self, other: Resources) -> Resources:
        """These, and the other's where nothing is said here; further sbatch options one by one."""
        return Resources(**(other.given() | self.given() | {"sbatch": other.sbatch | self.sbatch}))

    def completed(self) -> Resources:
        """These, with what is built in where neither a person nor the cluster says anything."""
        hours = HOURS if self.hours is None else self.hours
        # SLURM may send the signal a minute early: of a time limit of minutes, 90 s would leave nothing to work in.
        delay = min(SIGNAL_DELAY_S, int(600 * hours))
        return self.over(
            Resources(nodes=1, gpus_per_node=0, hours=hours, signal_delay_s=delay, retries=RETRIES)
        )

    def parameters(self, ranks: int) -> dict[str, Any]:
        """A job of that many ranks, each of them one task, as submitit's parameters; what is open is left to SLURM.

        Raises:
            LaunchError: the ranks cannot be spread evenly over the nodes.
        """
        whole = self.completed()
        nodes = min(whole.nodes or 1, ranks)
        if ranks % nodes:
            raise LaunchError(
                f"{ranks} ranks cannot be spread evenly over {nodes} nodes; choose another --nodes"
            )
        further = {name: True if text in ("", "true") else text for name, text in self.sbatch.items()}
        parameters: dict[str, Any] = {
            "partition": self.partition,
            "account": self.account,
            "qos": self.qos,
            "constraint": self.constraint,
            "nodes": nodes,
            "ntasks_per_node": ranks // nodes,
            "gpus_per_node": min(self.gpus_per_node or 0, ranks // nodes) or None,
            "cpus_per_task": self.cpus_per_task,
            "mem": None if self.memory_gb is None else f"{round(1024 * self.memory_gb)}M",
            "time": round(60 * (whole.hours or 0)),
            "signal_delay_s": whole.signal_delay_s,
            "additional_parameters": further or None,
        }
        return {name: value for name, value in parameters.items() if value is not None}


def _option(name: str) -> str:
    """The long name of a further option, as sbatch has it."""
    option = name.removeprefix("--").replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9-]+", option):
        raise ConfigError(f"sbatch option {name!r} is none: name it as its long form, such as mail-type")
    if option in _OWN_FIELD:
        raise ConfigError(f"sbatch option {option} has a field of its own: use {_OWN_FIELD[option]}")
    if option in _OURS:
        raise ConfigError(f"sbatch option {option} is set by the launcher itself and cannot be given")
    return option


def _check_text(name: str, text: str | None, *, or_empty: bool = False) -> None:
    if text is None:
        return
    if not text.strip() and not or_empty:
        raise ConfigError(f"{name} is empty; leave it out, or name one")
    if not text.isprintable():
        raise ConfigError(f"{name} is {text!r}; a line break or another control character cannot be given")
