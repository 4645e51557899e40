"""Memory freed by a step is reused by the next."""

from __future__ import annotations

import platform
import subprocess
import sys

import pytest

_PAGE_FAULTS = """
import resource, sys
import numpy as np
from pipeline.training.memory import keep_freed_memory

if sys.argv[1] == "keep":
    keep_freed_memory()

def step():
    kept = [np.empty(20 << 20, dtype=np.uint8) for _ in range(8)]
    for block in kept:
        block.fill(1)

step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc is told to")
def test_a_second_step_gets_the_memory_of_the_first_without_page_faults() -> None:
    # In processes of their own: it cannot be taken back. The second shows that without it there is something to gain.
    faults = {
        way: int(
            subprocess.run([sys.executable, "-c", _PAGE_FAULTS, way], capture_output=True, check=True).stdout
        )
        for way in ("keep", "give back")
    }
    assert faults["keep"] < 100
    assert faults["give back"] > 100
