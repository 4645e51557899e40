"""CUDA's multi-process service (MPS): with it, kernels of several processes run on a GPU at the same time."""

from __future__ import annotations

import os
from pathlib import Path

DEFAULT_PIPES = Path("/tmp/nvidia-mps")


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
