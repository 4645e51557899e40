"""Messages if no cluster can be started; these tests also run without SLURM."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from data_prep.errors import LaunchError, MissingDependencyError
from tests.cluster import requirements
from tests.cluster.layout import Layout


def test_every_package_of_the_setup_is_named_if_nothing_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(requirements, "PROGRAM_PATH", str(tmp_path))
    monkeypatch.setattr(requirements, "_PLUGINS", tmp_path)
    (tmp_path / "x86_64" / "slurm-wlm").mkdir(parents=True)
    packages = Path(__file__).with_name("packages.txt").read_text().split()
    with pytest.raises(MissingDependencyError) as refusal:
        requirements.check(accounting=True)
    assert str(refusal.value).endswith(f"apt-get install --no-install-recommends {' '.join(packages)}")
    with pytest.raises(MissingDependencyError) as refusal:
        requirements.check(accounting=False)
    assert "mariadb" not in str(refusal.value)


def test_an_ordinary_user_is_told_that_it_needs_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(LaunchError, match="needs root"):
        requirements.check(accounting=True)


def test_a_cluster_is_found_again_as_it_was_laid_out(tmp_path: Path) -> None:
    layout = Layout.new(tmp_path, nodes=3, accounting=False)
    assert Layout.load(tmp_path) is None
    layout.save()
    assert Layout.load(tmp_path) == layout
    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(LaunchError, match="damaged"):
        Layout.load(tmp_path)
