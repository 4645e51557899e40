from __future__ import annotations

from pathlib import Path

import pytest

from launch.clusters.resources import Resources
from launch.clusters.slurm.backend import SlurmBackend
from launch.clusters.slurm.facts import ClusterFacts, NodeKind, Partition
from launch.plan import NeededData
from tests.launch.clusters.slurm.plans import cells

FACTS = ClusterFacts(
    version="22.05",
    has_accounting=False,
    requeues=True,
    max_array_size=1001,
    max_job_count=10_000,
    partitions=(
        Partition(
            name="main",
            is_default=True,
            limit_minutes=60.0,
            kinds=(NodeKind(count=4, cpus=4, memory_mb=4000, gpus=0),),
        ),
    ),
)


@pytest.fixture
def backend(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SlurmBackend:
    """A backend whose cluster must not be queried."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("sbatch", "squeue"):
        (programs / name).write_text("#!/bin/sh\nexit 1\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    return SlurmBackend(tmp_path / "sweep", Resources(), facts=FACTS)


def data(raw: Path, folder: Path) -> NeededData:
    return NeededData(name="idx_folder", folder=folder / "idx_folder-0123456789abcdef", raw=raw, ffcv=False)


def test_shards_are_counted_if_the_raw_files_are_available(
    backend: SlurmBackend, tiny_raw: Path, tmp_path: Path
):
    said = backend.describe(cells(2, tmp_path / "sweep"), [data(tiny_raw, tmp_path)])
    assert said.startswith("partition main: the cluster's default\n")
    assert "# array 1: prepare, 2 task(s)\n" in said
    assert "LAST_SHARD" not in said
    assert "# array 3: train, 2 task(s)\n" in said


def test_without_raw_files_the_number_is_unknown(backend: SlurmBackend, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    said = backend.describe(cells(2, tmp_path / "sweep"), [data(tmp_path / "empty", tmp_path)])
    first, _, others = said.partition("# array 2: ")
    sentence = "number of tasks unknown: the raw files of idx_folder are not available to count"
    assert f"# array 1: prepare, {sentence}\n" in first
    assert "#SBATCH --array=0-LAST_SHARD\n" in first
    assert others.startswith("merge, 1 task(s)\n")
    assert not (tmp_path / "sweep").exists()
