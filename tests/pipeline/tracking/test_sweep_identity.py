"""Which sweep a folder is, without any store."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from data_prep.errors import TrackingError
from pipeline.tracking.sweep_identity import SWEEP_FILE, SweepIdentity, claim_sweep, original_of


def test_a_sweep_keeps_its_identity_and_its_experiment(tmp_path: Path) -> None:
    (sweep := tmp_path / "sweep").mkdir()
    assert SweepIdentity.read(sweep) is None
    first = claim_sweep(sweep, "mine")
    assert (first.folder, first.experiment) == (str(sweep), "mine")
    assert claim_sweep(sweep) == first == SweepIdentity.read(sweep)
    assert claim_sweep(sweep, "other").id == first.id
    assert claim_sweep(sweep).experiment == "other"


def test_a_moved_folder_is_the_same_sweep_and_a_copied_one_another(tmp_path: Path) -> None:
    (sweep := tmp_path / "sweep").mkdir()
    first = claim_sweep(sweep)
    copy = Path(shutil.copytree(sweep, tmp_path / "copy"))
    before = (copy / SWEEP_FILE).read_bytes()
    (tmp_path / "link").symlink_to(sweep)

    read = SweepIdentity.read(copy)
    assert read is not None
    assert read.id != first.id
    assert read == SweepIdentity.read(copy)  # as each process of the copy sees it, before anything is written
    assert (copy / SWEEP_FILE).read_bytes() == before
    assert original_of(copy) == first
    same = SweepIdentity.read(tmp_path / "link")
    assert same is not None
    assert same.id == first.id

    assert claim_sweep(copy).id == read.id
    assert original_of(copy) is None
    moved = sweep.rename(tmp_path / "moved")
    assert claim_sweep(moved).id == first.id
    assert claim_sweep(copy).id == read.id


def test_a_damaged_file_is_reported_in_one_sentence(tmp_path: Path) -> None:
    (tmp_path / SWEEP_FILE).write_text("{")
    with pytest.raises(TrackingError, match=r"sweep\.json cannot be read: restore it, or remove it"):
        claim_sweep(tmp_path)
