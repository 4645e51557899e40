"""Stops the main thread of a process, and no other: ``python -m tests.faults.main_thread PID`` returns when it has ended.

A process whose main thread hangs, in a driver or on a dead disk, can still be ended by its watchdog; after SIGSTOP that
would stand still as well.
"""

from __future__ import annotations

import ctypes
import os
import sys

_SEIZE, _INTERRUPT = 0x4206, 0x4207  # of Linux's ptrace.h
_WALL = 0x40000000


def main() -> None:
    """Stop it, and hold it until it is killed."""
    pid = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
    for request in (_SEIZE, _INTERRUPT):
        if libc.ptrace(request, pid, None, None) != 0:
            raise OSError(ctypes.get_errno(), "ptrace")
    while True:
        _, status = os.waitpid(pid, _WALL)
        if not os.WIFSTOPPED(status):
            return


if __name__ == "__main__":
    main()
