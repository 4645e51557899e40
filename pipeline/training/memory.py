"""Memory that a step frees stays with the process, for the next step; several processes on a GPU have equal shares."""

from __future__ import annotations

import ctypes

import torch

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of glibc's malloc.h
_CONTEXT_BYTES = 600 * 2**20
"""What CUDA takes for each process on a GPU before torch allocates anything; some 500 MB."""
_ALL, _MOST_OF_OLDER_GLIBC = 1 << 30, 1 << 25


def keep_freed_memory() -> None:
    """Make glibc keep freed memory, up to 1 GiB at a time; no effect without glibc.

    By default it returns large blocks to the system, so that each step would have to fault in its activations again, page
    by page: up to a quarter of a step's time on a processor (``docs/speed.md``).
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return
    if not mallopt(_M_MMAP_THRESHOLD, _ALL):
        mallopt(_M_MMAP_THRESHOLD, _MOST_OF_OLDER_GLIBC)
    mallopt(_M_TRIM_THRESHOLD, _ALL)


def limit_gpu_memory(device: torch.device, processes: int) -> None:
    """Limit torch's allocator to this process's share of the GPU; beyond it, it raises OutOfMemoryError here only."""
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.set_per_process_memory_fraction(memory_fraction(total, processes), device)


def memory_fraction(total: int, processes: int) -> float:
    """The share of ``total`` bytes that each of ``processes`` may allocate, next to CUDA's own memory for all of them."""
    return max(0.0, 1 / processes - _CONTEXT_BYTES / total)
