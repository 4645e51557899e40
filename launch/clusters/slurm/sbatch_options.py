"""Which further options of sbatch a user may give, and under which name."""

from __future__ import annotations

import re
from collections.abc import Mapping

from data_prep.errors import ConfigError
from launch.clusters.gpus import Gpus

_OWN_FIELD = {
    "partition": "partition",
    "account": "account",
    "qos": "qos",
    "nodes": "nodes",
    "gpus": "gpus_per_node",
    "gpus-per-node": "gpus_per_node",
    "gpus-per-task": "gpus_per_node",
    "ntasks": "ranks",
    "ntasks-per-node": "nodes",
    "cpus-per-task": "cpus_per_task",
    "mem": "memory_gb",
    "time": "hours",
    "constraint": "constraint",
    "signal": "signal_delay_s",
}
"""Options of sbatch that have a field of ``Resources``: of two values, one would be ignored silently."""

_FOR_TRAINING = frozenset({
    "contiguous", "cores-per-socket", "cpus-per-gpu", "distribution", "exclusive", "extra-node-info", "gpu-bind",
    "gpu-freq", "gpus-per-socket", "gres", "gres-flags", "hint", "mem-bind", "mem-per-gpu", "network",
    "ntasks-per-core", "ntasks-per-gpu", "ntasks-per-socket", "sockets-per-node", "spread-job", "switches",
    "threads-per-core", "tres-bind", "tres-per-job", "tres-per-node", "tres-per-socket", "tres-per-task",
})  # fmt: skip
"""Options about GPUs, whole nodes and their layout: a job with one CPU needs none of them, and may not get them."""

_OURS = frozenset({
    "array", "chdir", "clusters", "comment", "dependency", "error", "help", "input", "job-name",
    "kill-on-invalid-dep", "no-kill", "no-requeue", "open-mode", "output", "parsable", "quiet", "requeue",
    "test-only", "usage", "version", "wait", "wrap",
})  # fmt: skip
"""Options of sbatch that the launcher sets or relies on."""


def long_name(name: str) -> str:
    """The long name of a further option of sbatch; ConfigError if it is not allowed."""
    option = name.removeprefix("--").replace("_", "-")
    if not re.fullmatch(r"[a-z][a-z0-9-]+", option):
        raise ConfigError(f"{name!r} is not an sbatch option: use a long name, such as mail-type")
    if option in _OWN_FIELD:
        field = _OWN_FIELD[option]
        in_file = "" if field == "ranks" else f" ({field} in cluster.toml)"
        raise ConfigError(
            f"sbatch option {option} has its own flag: use --{field.replace('_', '-')}{in_file}"
        )
    if option in _OURS:
        raise ConfigError(f"sbatch option {option} is set by the launcher and cannot be changed")
    return option


def for_small_jobs(options: Mapping[str, str]) -> dict[str, str]:
    """Those of the further options that hold for jobs without training too, such as mail-type or reservation."""
    return {name: text for name, text in options.items() if name not in _FOR_TRAINING}


def gpus_of_gres(gres: str) -> tuple[Gpus | None, str]:
    """The GPUs of the option gres, and the rest of it: ``gpu:v100:1,tmpdisk:10`` has one and ``tmpdisk:10``."""
    gpus, others = None, []
    for entry in gres.split(","):
        name, _, rest = entry.strip().removeprefix("gres/").removeprefix("gres:").partition(":")
        if name != "gpu":
            others.append(entry.strip())
        elif gpus is not None:
            raise ConfigError(f"gres is {gres}; GPUs of two types in one job are not supported")
        else:
            own = Gpus.parsed(rest or 1, "gres")
            gpus = Gpus(1 if own.count is None else own.count, own.kind)  # as sbatch counts a type alone
    return gpus, ",".join(others)
