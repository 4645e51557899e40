"""Independent tasks in worker processes that die with the process that started them."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing import get_context
from multiprocessing.connection import Connection
from types import ModuleType
from typing import TypeVar

from data_prep.errors import ConfigError, DataSetError

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def available_cores() -> int:
    """Cores this process may use (a SLURM job or a container often has fewer than the machine)."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def check_workers(workers: int | None) -> None:
    """``ConfigError`` unless this is a valid number of processes; None means automatic."""
    if workers is not None and workers < 1:
        raise ConfigError(f"workers is {workers}, but must be at least 1")


def run_in_processes(
    function: Callable[[Argument], Result],
    arguments: Iterable[Argument],
    *,
    workers: int,
    on_result: Callable[[Result], None],
) -> None:
    """Call ``function`` on each argument in ``workers`` spawned processes; ``on_result`` is called here, as each ends.

    The first exception of a task, or an interrupt, ends all workers at once and is raised. Workers also end when this
    process is killed. ``DataSetError`` when the system kills a worker.
    """
    context = get_context("spawn")  # FFCV and OpenMP do not survive a fork
    life, alive = context.Pipe(duplex=False)
    executor = ProcessPoolExecutor(workers, context, initializer=_die_with_parent, initargs=(life,))
    try:
        with _spawning_quietly():
            futures = [executor.submit(function, argument) for argument in arguments]
        for future in as_completed(futures):
            on_result(future.result())
        executor.shutdown(wait=True)
    except BrokenProcessPool:
        raise DataSetError(
            "a worker process was killed (out of memory?); run the same command to resume, "
            "with fewer workers if it happens again"
        ) from None
    finally:
        alive.close()
        executor.shutdown(wait=True, cancel_futures=True)
        life.close()


def _die_with_parent(life: Connection) -> None:
    """Exit when the other end of ``life`` is closed, which the system does even if the parent is killed."""

    def watch() -> None:
        try:
            life.recv_bytes()
        except (EOFError, OSError):
            os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


@contextmanager
def _spawning_quietly() -> Iterator[None]:
    """Inside, spawned processes ignore Ctrl-C from the start and do not import the script that started this one.

    Ctrl-C reaches the whole process group, but only the parent should handle it. Importing the script (multiprocessing's
    default) would cost each worker the imports of, say, a sweep, and would run a script without a main guard again.
    """
    main = sys.modules["__main__"]
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
