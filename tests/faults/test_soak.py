"""The short form of ``make soak``: a few faults at random moments, and nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.cluster.cluster import Cluster
from tests.faults.injections import KINDS, Scene
from tests.faults.reference import Reference
from tests.faults.soak import Report, compare, deck, soak, table
from tests.faults.sweep import Sweep
from tests.pipeline.tracking.stores import Server, quiet_mlflow

pytestmark = [quiet_mlflow, pytest.mark.slow, pytest.mark.slurm, pytest.mark.timeout(900)]

SEED = 30
"""The server, a requeue, a rank and the launcher: none that SLURM takes half a minute to notice."""


def test_faults_at_random_moments_lose_nothing(
    slurm_cluster: Cluster, sweep: Callable[..., Sweep], reference: Callable[..., Reference], server: Server
):
    short = ("--recipe=faults-soak", "--seeds=1", "--nodes=2", "--cpus-per-task=1")
    scene = Scene(slurm_cluster, sweep("soak", *short, tracking_uri=server.uri), server, random.Random(SEED))
    report = Report(seed=SEED)
    for ended in soak(scene, deck(scene.chance, 4), report):
        compare(ended, {0: reference()}, report)
    assert report.cells >= 2
    assert report.is_good, table(report)
    assert len(report.faults) == 4


def test_every_kind_comes_before_one_comes_again():
    drawn = deck(random.Random(SEED), 2 * len(KINDS))
    assert sorted(drawn[: len(KINDS)]) == sorted(drawn[len(KINDS) :]) == sorted(KINDS)
    assert deck(random.Random(SEED), 4) == drawn[:4]
