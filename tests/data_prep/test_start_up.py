"""In a process of their own: in that of the tests another one's thread may be importing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    "block",
    [
        pytest.param(
            """
with importing(), importing():
    assert not gc.isenabled()
""",
            id="one in the other",
        ),
        pytest.param(
            """
try:
    with importing():
        raise ImportError
except ImportError:
    pass
""",
            id="failed",
        ),
        pytest.param(
            """
first, second = importing(), importing()
first.__enter__()
second.__enter__()
first.__exit__(None, None, None)
assert not gc.isenabled()
second.__exit__(None, None, None)
""",
            id="the first ends before the second, in another thread",
        ),
    ],
)
def test_garbage_is_collected_again_when_the_last_block_has_imported(block):
    script = f"import gc\nfrom data_prep.start_up import importing\n{block}\nassert gc.isenabled()"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)
