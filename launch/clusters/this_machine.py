"""The resources of the launcher's own machine, and how processes are started and ended there."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil


def gpus_here() -> list[str]:
    """The GPUs that torch finds on this machine, by their names in ``CUDA_VISIBLE_DEVICES``."""
    import torch  # late: monitoring a sweep does not need it

    count, named = torch.cuda.device_count(), os.environ.get("CUDA_VISIBLE_DEVICES")
    return (list(map(str, range(count))) if named is None else named.split(","))[:count]


def processors() -> int:
    """Number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0))


def kill_with_children(pid: int) -> None:
    """Kill a process and its descendants; one that has already ended is not an error."""
    try:
        parent = psutil.Process(pid)
        family = [*parent.children(recursive=True), parent]
    except psutil.NoSuchProcess:
        return
    for process in family:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


@contextmanager
def environment(**variables: str) -> Iterator[None]:
    """Set environment variables for child processes, unless they are already set."""
    fresh = {name: value for name, value in variables.items() if name not in os.environ}
    os.environ.update(fresh)
    try:
        yield
    finally:
        for name in fresh:
            del os.environ[name]


@contextmanager
def ignoring(*numbers: signal.Signals) -> Iterator[None]:
    """Child processes started in the block ignore the signals until they install a handler."""
    former = {number: signal.signal(number, signal.SIG_IGN) for number in numbers}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
