"""Requested resources as submitit's parameters of a job."""

from __future__ import annotations

from typing import Any

from data_prep.errors import LaunchError
from launch.clusters.resources import Resources
from pipeline.node_name import VARIABLES


def job_parameters(resources: Resources, ranks: int) -> dict[str, Any]:
    """Submitit's parameters of a job of ``ranks`` ranks, one task each; what is unset is left to SLURM.

    Raises:
        LaunchError: the ranks cannot be spread evenly over the nodes.
    """
    whole = resources.completed()
    nodes = min(whole.nodes or 1, ranks)
    if ranks % nodes:
        raise LaunchError(f"{ranks} ranks cannot be spread evenly over {nodes} nodes; choose another --nodes")
    further = {name: True if text in ("", "true") else text for name, text in resources.sbatch.items()}
    parameters: dict[str, Any] = {
        "partition": resources.partition,
        "account": resources.account,
        "qos": resources.qos,
        "constraint": resources.constraint,
        "nodes": nodes,
        "ntasks_per_node": ranks // nodes,
        "gpus_per_node": resources.gpus.on_node(ranks // nodes).request or None,
        "cpus_per_task": resources.cpus_per_task,
        "mem": _memory(resources.memory_gb),
        "time": round(60 * (whole.hours or 0)),
        "signal_delay_s": whole.signal_delay_s,
        "setup": [*resources.setup, *_exports(resources.network_interface)] or None,
        "additional_parameters": further or None,
    }
    return {name: value for name, value in parameters.items() if value is not None}


def _memory(gigabytes: float | None) -> str | None:
    """The option mem of sbatch."""
    if gigabytes is None:
        return None
    return f"{round(1024 * gigabytes)}M" if gigabytes else "0"  # 0: all of the node


def _exports(interface: str | None) -> list[str]:
    """The line that names a network interface to the ranks."""
    return (
        []
        if interface is None
        else [f"export {' '.join(f'{variable}={interface}' for variable in VARIABLES)}"]
    )
