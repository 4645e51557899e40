"""Starts ranks as torchrun does, without importing torch: ``python start_ranks.py RANKS -m jobs.train --config FILE``."""

from __future__ import annotations

import os
import socket
import subprocess
import sys


def main() -> None:
    """Start them, wait for all, and fail if one of them did."""
    size, *command = sys.argv[1:]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    there = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    there |= {"WORLD_SIZE": size, "LOCAL_WORLD_SIZE": size}
    ranks = [
        subprocess.Popen(
            [sys.executable, "-u", *command],
            env=os.environ | there | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
        )
        for rank in range(int(size))
    ]
    statuses = [rank.wait() for rank in ranks]
    sys.exit(int(any(statuses)))


if __name__ == "__main__":
    main()
