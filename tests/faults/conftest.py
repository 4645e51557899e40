"""What tests of faults share: the data, the runs that nothing happens to, sweeps on the cluster, a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from data_prep.lock import exclusive_lock
from data_prep.stages import prepare
from tests.cluster import faults
from tests.cluster.cluster import Cluster
from tests.faults.reference import Reference, undisturbed
from tests.faults.runs import run
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import Server, fresh_store


@pytest.fixture(scope="session")
def data_root(tiny_raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of prepared data sets in which every launcher finds the tiny one."""
    root = tmp_path_factory.mktemp("fault-data")
    prepare("idx_folder", raw=tiny_raw, root=root, workers=1, formats="arrow", progress=False)
    return root


@pytest.fixture(scope="session")
def reference(data_root: Path, session_folder: Path) -> Callable[..., Reference]:
    """The undisturbed run on ``ranks`` ranks; trained once for all workers."""
    (data_set,) = (manifest.parent for manifest in data_root.glob("*/manifest.json"))

    @cache
    def made(ranks: int = 2) -> Reference:
        config = run()
        config = replace(config, training=replace(config.training, ranks=ranks))
        folder = session_folder / f"undisturbed-{ranks}"
        with exclusive_lock(session_folder / f"undisturbed-{ranks}.lock", lambda: None):
            return undisturbed(config, data_set, folder)

    return made


@pytest.fixture
def sweep(
    slurm_cluster: Cluster, tiny_raw: Path, data_root: Path, tmp_path: Path
) -> Iterator[Callable[..., Sweep]]:
    """Makes sweeps in this test's folder by name and options; at the end the cluster is mended and empty."""
    made: list[Sweep] = []

    def make(name: str, *options: str, tracking_uri: str | None = None) -> Sweep:
        runs = tmp_path / name
        if tracking_uri is None:
            fresh_store(runs)
        asked = ["--no-preflight", "--hours", "0.5", *options]
        made.append(
            Sweep(
                runs=runs,
                name=name,
                options=asked,
                raw=tiny_raw,
                data_root=data_root,
                tracking_uri=tracking_uri,
            )
        )
        return made[-1]

    try:
        yield make
    finally:
        for each in made:
            each.close()
        faults.mend(slurm_cluster)
        slurm_cluster.run(["scancel", "--user=root"])
        slurm_cluster.wait_idle()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A real ``mlflow server``."""
    (tmp_path / "server").mkdir()
    server = Server(tmp_path / "server")
    server.start()
    yield server
    server.close()
