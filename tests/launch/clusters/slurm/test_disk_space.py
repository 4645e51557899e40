"""Disk space of a sweep's checkpoints, compared with the free space."""

from __future__ import annotations

import shutil
from collections import namedtuple
from dataclasses import replace
from pathlib import Path

import pytest

from launch.clusters.slurm.disk_space import disk_finding
from pipeline.cell import Cell
from tests.pipeline.runs import small_run

Usage = namedtuple("Usage", "total used free")


def with_free(monkeypatch: pytest.MonkeyPatch, free: float) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: Usage(0, 0, int(free)))


@pytest.mark.parametrize("system", ["ccvae", "m2"])
def test_the_estimate_is_that_of_the_models_themselves(tiny_data_set, tmp_path, monkeypatch, system):
    from data_prep.manifest import Manifest
    from pipeline.models.interface import DataSpec

    run = small_run(tiny_data_set, system=system, keep_checkpoints=3)
    model = run.model.build(DataSpec.of(Manifest.load(tiny_data_set)))
    bytes_each = 12 * sum(parameter.numel() for parameter in model.parameters())
    needed = 10 * (3 + 1) * bytes_each
    cells = [Cell(tmp_path / f"{seed}", replace(run, seed=seed)) for seed in range(10)]
    with_free(monkeypatch, needed - 1)
    finding = disk_finding(tmp_path / "not/there/yet", cells)
    assert finding.level == "problem"
    assert finding.sentence.startswith(f"the checkpoints of 10 cells take about {needed / 1e6:.0f} MB")
    assert str(tmp_path) in finding.sentence
    assert "--runs" in finding.sentence
    with_free(monkeypatch, needed + 1)
    assert disk_finding(tmp_path, cells).level == "warning"
    with_free(monkeypatch, 2 * needed + 1)
    assert disk_finding(tmp_path, cells).level == "ok"


def test_without_the_data_it_is_a_guess_and_says_so(tiny_data_set, tmp_path, monkeypatch):
    run = small_run(tiny_data_set)
    run = replace(run, data=replace(run.data, folder=str(tmp_path / "nowhere")))
    with_free(monkeypatch, 1e12)
    finding = disk_finding(tmp_path, [Cell(Path("x"), run)])
    assert finding.level == "ok"
    assert "estimated" in finding.sentence
    assert "1.0 TB are free" in finding.sentence
