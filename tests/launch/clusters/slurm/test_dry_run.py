from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from data_prep.errors import LaunchError
from launch.clusters import make_backend
from launch.clusters.resources import Resources
from launch.clusters.slurm.backend import SlurmBackend
from launch.clusters.slurm.facts import ClusterFacts, NodeKind, Partition
from launch.dry_run import describe
from launch.plan import NeededData
from tests.launch.clusters.slurm.plans import DATA, cells

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
    assert "# array 1: prepare, 2 tasks\n" in said
    assert "LAST_SHARD" not in said
    assert "# array 3: train, 2 tasks\n" in said


def test_without_raw_files_the_number_is_unknown(backend: SlurmBackend, tmp_path: Path):
    (tmp_path / "empty").mkdir()
    said = backend.describe(cells(2, tmp_path / "sweep"), [data(tmp_path / "empty", tmp_path)])
    first, _, others = said.partition("# array 2: ")
    sentence = "number of tasks unknown: the raw files of idx_folder are not available to count"
    assert f"# array 1: prepare, {sentence}\n" in first
    assert "#SBATCH --array=0-LAST_SHARD\n" in first
    assert others.startswith("merge, 1 task\n")
    assert not (tmp_path / "sweep").exists()


def test_without_an_answer_of_the_cluster_a_dry_run_says_what_it_does_not_know(
    backend: SlurmBackend, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    script = "#!/bin/sh\necho 'slurm_load_ctl_conf error: Unable to contact slurm controller' >&2; exit 1\n"
    (tmp_path / "programs/scontrol").write_text(script)
    (tmp_path / "programs/scontrol").chmod(0o755)
    (tmp_path / "empty").mkdir()
    needed = [data(tmp_path / "empty", DATA.folder.parent)]
    config = tmp_path / "cluster.toml"
    config.write_text('account = "vision"\n')

    def described(**asked: Any) -> str:
        offline = make_backend("slurm", tmp_path / "sweep", Resources(**asked), config, dry_run=True)
        return describe(cells(2, tmp_path / "sweep", ranks=4), needed, offline, tmp_path / "runs")

    said = described()
    assert (
        "does not answer ('scontrol show config' fails (slurm_load_ctl_conf error: Unable to contact" in said
    )
    assert "so this is not known: the default partition, the partition's time limit (24 h here), " in said
    assert "#SBATCH --account=vision\n" in said
    assert "#SBATCH --ntasks-per-node=4\n" in said
    assert said.endswith("whether the ranks would get GPUs (--gpus-per-node)")
    said = described(gpus_per_node="a100:2", partition="gpu", hours=2.0)
    assert "so this is not known: the number of nodes, the CPUs of its nodes" in said
    assert "#SBATCH --nodes=2\n" in said
    assert "#SBATCH --gpus-per-node=a100:2\n" in said
    assert "at most 20.0 GPU-hours" in said  # two runs of four ranks, each then measured by one
    with pytest.raises(LaunchError, match="Unable to contact"):
        make_backend("slurm", tmp_path / "sweep", Resources())
    monkeypatch.setenv("PATH", str(tmp_path))
    assert (
        "does not answer (scontrol is not installed: run this on a login node of the cluster)" in described()
    )
    assert not (tmp_path / "sweep").exists()
