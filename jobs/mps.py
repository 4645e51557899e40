"""CUDA's multi-process service (MPS): with it, kernels of several processes run on a GPU at the same time."""

from __future__ import annotations

import os
import socket
from contextlib import suppress
from pathlib import Path

from data_prep.files import atomic_write

DEFAULT_PIPES = Path("/tmp/nvidia-mps")
_PREFIX = "mps-on-"
"""Of a file in a sweep's folder of jobs, followed by a node's name."""


def mps_runs() -> bool:
    """Whether its daemon runs on this machine for this user; CUDA then uses it without being told."""
    pipes = Path(os.environ.get("CUDA_MPS_PIPE_DIRECTORY") or DEFAULT_PIPES)
    if not (pipes / "control").exists():
        return False
    try:
        daemon = int((pipes / "nvidia-cuda-mps-control.pid").read_text())
    except (OSError, ValueError):
        return True
    return Path(f"/proc/{daemon}").exists()


def has_gpus() -> bool:
    """Whether this process was given GPUs, or none and there are some; without asking CUDA."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    return Path("/dev/nvidiactl").exists() if given is None else bool(given.strip())


def mps_sentence() -> str:
    """Whether the processes that share a GPU use it at the same time."""
    if not has_gpus():
        return "no GPU"
    if mps_runs():
        return "CUDA's MPS runs: their kernels share the GPU at the same time"
    return "CUDA's MPS does not run (nvidia-cuda-mps-control -d starts it): they take turns on the GPU"


def note_mps(sweep: Path) -> None:
    """Have ``noted_mps`` tell for this node whether MPS runs there, if it has GPUs; a full disk is no reason to fail."""
    node = os.environ.get("SLURMD_NODENAME") or socket.gethostname()
    if has_gpus():
        with suppress(OSError), atomic_write(sweep / "jobs" / f"{_PREFIX}{node}") as file:
            file.write(b"yes" if mps_runs() else b"no")


def noted_mps(sweep: Path) -> str:
    """Where cells of a sweep shared GPUs with MPS, and where without; empty if none has shared one."""
    runs: dict[bool, list[str]] = {True: [], False: []}
    for file in sorted((sweep / "jobs").glob(f"{_PREFIX}*")):
        with suppress(OSError):
            runs[file.read_bytes() == b"yes"].append(file.name.removeprefix(_PREFIX))
    said = []
    if runs[True]:
        said.append(f"CUDA's MPS runs on {', '.join(runs[True])}: cells share a GPU at the same time")
    if runs[False]:
        said.append(
            f"CUDA's MPS does not run on {', '.join(runs[False])} (nvidia-cuda-mps-control -d starts it): cells that"
            " share a GPU take turns"
        )
    return "; ".join(said)
