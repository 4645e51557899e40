"""The pytest fixtures that give tests a real SLURM: a plugin, named in ``tests/conftest.py``."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from data_prep.errors import UserError
from tests.cluster import cluster as clusters
from tests.cluster import requirements
from tests.cluster.cluster import Cluster

_PREFIX = f"traitvae-test-cluster-{os.geteuid()}-"


@pytest.fixture(scope="session")
def slurm_installed() -> None:
    """Skip, with the reason, if no cluster can be started; fail instead if ``TRAITVAE_REQUIRE_SLURM=1``."""
    try:
        requirements.check(accounting=True)
    except UserError as error:
        if os.environ.get("TRAITVAE_REQUIRE_SLURM") == "1":
            pytest.fail(f"TRAITVAE_REQUIRE_SLURM=1, but {error}", pytrace=False)
        pytest.skip(str(error))


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A new folder for a test's own cluster: pytest's folders may have paths that are too long for a cluster."""
    folder = Path(tempfile.mkdtemp(prefix="traitvae-test-")).resolve()
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def slurm_cluster(slurm_installed: None) -> Iterator[Cluster]:
    """Four nodes with accounting, for the entire session, with ``SLURM_CONF`` set in ``os.environ``.

    It has its own folder and ports, so it can run alongside a cluster started by ``make cluster-up``.
    """
    _end_abandoned()
    folder = Path(tempfile.gettempdir()).resolve() / f"{_PREFIX}{os.getpid()}"
    try:
        cluster = clusters.up(folder)
        with pytest.MonkeyPatch.context() as environment:
            # When the tests themselves run in a SLURM job: its variables would reach into ours.
            for name in list(os.environ):
                if name.startswith(("SLURM_", "SLURMD_", "SBATCH_", "SRUN_")):
                    environment.delenv(name)
            environment.setenv("SLURM_CONF", str(cluster.conf))
            yield cluster
    finally:
        clusters.down(folder)


@pytest.fixture
def hidden(slurm_cluster: Cluster, tmp_path: Path) -> Iterator[Path]:
    """A disk that the nodes do not see: mounted here, while each node has its own mount namespace."""
    folder = tmp_path / "hidden"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "none", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def _end_abandoned() -> None:
    """End the clusters of test sessions that were killed before they could do it."""
    for folder in Path(tempfile.gettempdir()).resolve().glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX)
        # Process ids are reused: a folder with our pid from before we started is abandoned too.
        if owner.isdigit() and (int(owner) == os.getpid() or not Path("/proc", owner).exists()):
            clusters.down(folder)
