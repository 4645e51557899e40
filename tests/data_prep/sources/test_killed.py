"""A preparation of JPEG files killed at any moment and then finished equals an undisturbed one."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from data_prep.stages import prepare
from tests.data_prep.fixtures import content
from tests.data_prep.sources.raw_pictures import write_celeba

ROOT = Path(__file__).parents[3]
ROWS, ROWS_PER_SHARD = 1000, 4
KILLS = 8
SCRIPT = """
import sys
from pathlib import Path
from data_prep.stages import prepare
prepare("celeba", raw=Path(sys.argv[1]), root=Path(sys.argv[2]), workers=2, formats="arrow", rows_per_shard=4)
"""


def start(raw: Path, root: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, str(raw), str(root)], cwd=ROOT, stderr=subprocess.DEVNULL
    )


def kill(process: subprocess.Popen[bytes]) -> None:
    """SIGKILL it, and wait for its workers, which end by themselves."""
    children = psutil.Process(process.pid).children() if process.poll() is None else []
    process.send_signal(signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=120)
    assert not alive, "workers outlive the process that started them"


def shards_in(root: Path) -> int:
    return len(list(root.glob("*/*.arrow")))


@pytest.mark.slow(40)
def test_killed_at_random_moments_and_then_finished_it_is_the_same_data_set(tmp_path: Path) -> None:
    """A moment is a number of shards after the start (0: while it plans or starts its workers), plus a short delay."""
    raw = write_celeba(tmp_path / "raw", ROWS)
    undisturbed = prepare(
        "celeba", raw=raw, root=tmp_path / "one", workers=1, formats="arrow", rows_per_shard=ROWS_PER_SHARD,
        progress=False,
    )  # fmt: skip
    shards, root, generator = shards_in(undisturbed.parent), tmp_path / "two", random.Random(4)
    reached = []
    for _ in range(KILLS):
        before, process = shards_in(root), start(raw, root)
        more, wait = generator.choice((0, 0, 1, 1, 2, 3, 4, 5)), generator.uniform(0, 0.05)
        while shards_in(root) < before + more and process.poll() is None:
            time.sleep(0.001)
        time.sleep(wait if more else 20 * wait)
        kill(process)
        assert not list(root.glob("*/manifest.json")), "it finished before it was killed"
        reached.append(shards_in(root))
    assert reached == sorted(reached), "finished shards were lost"
    assert len(set(reached)) > KILLS // 2, "most kills should hit in the middle of the work"
    assert reached[-1] < shards
    assert start(raw, root).wait() == 0
    (folder,) = root.glob("celeba-*")
    assert folder.name == undisturbed.name
    assert content(folder) == content(undisturbed)
