"""Faults 9 and 10: a checkpoint is damaged, and the disk is full while one is written."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.training import checkpoint
from tests.cluster import cluster as clusters
from tests.cluster.cluster import Cluster
from tests.faults.injections import flip_a_bit, truncate
from tests.faults.ranks import living_ranks
from tests.faults.reference import Reference, assert_same_run
from tests.faults.story import endings, held_back, log_text
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import fresh_store, quiet_mlflow

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]


@pytest.mark.slow(60)
def test_newest_checkpoint_damaged(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference]
):
    damaged = sweep("damaged", "--recipe", "faults")
    damaged.start()
    cell = damaged.cell()
    for damage, step in ((truncate, 45), (flip_a_bit, 105)):
        damaged.wait_for_step(cell, step)
        job = living_ranks(cell)[0].job
        with held_back(slurm_cluster, job, cell):
            before, newest = sorted(cell.checkpoints.glob("step-*.pt"))
            damage(newest)
            words = f"resuming from step {step_of(before)} of"
            times = log_text(cell).count(words)  # it may be where the last start resumed, too
        damaged.wait_for_words(cell, words, times + 1)
        assert f"checkpoint {newest} is incomplete or damaged" in log_text(cell)
    damaged.wait_until_done()
    assert_same_run(cell, reference(), damaged.store)


def step_of(checkpoint_file: Path) -> int:
    return int(checkpoint_file.stem.removeprefix("step-"))


@pytest.fixture
def small_disk(slurm_installed: None) -> Iterator[Path]:
    """A folder on its own disk of 32 MB; not one that pytest fails to remove later if this process is killed."""
    folder = Path(tempfile.mkdtemp(prefix="traitvae-small-disk-"))
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=32m", "traitvae-small-disk", str(folder)],
        capture_output=True,
        text=True,
    )
    if mounted.returncode != 0:
        pytest.skip(f"no small disk can be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
    folder.rmdir()


@pytest.fixture
def cluster_with_small_disk(
    small_disk: Path, short_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Cluster]:
    """A SLURM of one node that was started after the mount: other clusters' nodes do not see it."""
    cluster = clusters.up(short_folder, nodes=1, accounting=False)
    monkeypatch.setenv("SLURM_CONF", str(cluster.conf))
    yield cluster
    clusters.down(short_folder)


@pytest.mark.slow(65)
def test_disk_full_while_a_checkpoint_is_written(
    cluster_with_small_disk: Cluster,
    small_disk: Path,
    tiny_raw: Path,
    data_root: Path,
    tmp_path: Path,
    reference: Callable[..., Reference],
):
    full = Sweep(
        runs=small_disk,
        name="full",
        options=["--recipe", "faults", "--hours", "0.5"],
        raw=tiny_raw,
        data_root=data_root,
        tracking_uri=fresh_store(tmp_path / "store"),
    )
    full.start()
    try:
        cell = full.cell()
        full.wait_for_step(cell, 35)
        filler = small_disk / "filler"
        fill(filler, leave=100_000)
        assert full.wait() == 1, full.story()
        sentence = (cell.folder / "FAILED").read_text()
        assert "the disk is full while writing" in sentence
        assert "checkpoints" in sentence
        assert sentence.strip() in full.log.read_text()
        assert endings(cell) == ["failed"]
        newest = checkpoint.newest_good(cell.checkpoints)
        assert newest is not None
        assert [path.name for path in cell.checkpoints.iterdir() if "partial" in path.name] == []
        filler.unlink()
        full.start("retry")
        full.wait_until_done()
        assert f"resuming from step {newest} of" in log_text(cell)
        assert_same_run(cell, reference(), full.store)
    finally:
        full.close()


def fill(filler: Path, leave: int) -> None:
    """Fill a disk with a file until about ``leave`` bytes are left, while others write to it as well."""
    with filler.open("wb") as file:
        while True:
            disk = os.statvfs(filler.parent)
            try:
                # All of it or, if a checkpoint has just taken some of the room, nothing.
                os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize - leave)
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
            else:
                return
