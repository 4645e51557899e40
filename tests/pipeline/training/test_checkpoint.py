from __future__ import annotations

import errno
import logging
from pathlib import Path

import pytest
import torch

from data_prep.errors import LeaseLost
from pipeline.cells.checkpoint_markers import newest_step
from pipeline.training import checkpoint

CPU = torch.device("cpu")


def save(folder: Path, step: int, keep: int = 3) -> Path:
    return checkpoint.save(folder, step, {"step": step, "weight": torch.full((50,), float(step))}, keep)


def test_the_newest_is_found_and_old_ones_go(tmp_path: Path):
    for step in (100, 200, 1000, 300_000):
        save(tmp_path, step, keep=2)
    state = checkpoint.load_newest(tmp_path, CPU)
    assert state is not None
    assert state["step"] == 300_000
    assert {path.name for path in tmp_path.glob("*.pt")} == {"step-00001000.pt", "step-00300000.pt"}
    assert newest_step(tmp_path) == 300_000


def test_an_empty_folder_is_not_an_error(tmp_path: Path):
    assert checkpoint.load_newest(tmp_path / "none", CPU) is None
    assert newest_step(tmp_path / "none") is None


@pytest.mark.parametrize("damage", ["truncated", "flipped", "no marker", "broken marker", "empty"])
def test_a_damaged_newest_is_passed_over_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
):
    save(tmp_path, 1)
    path = save(tmp_path, 2)
    content = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(content[:-10])
    elif damage == "flipped":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif damage == "no marker":
        path.with_suffix(".json").unlink()
    elif damage == "broken marker":
        path.with_suffix(".json").write_text("{")
    else:
        path.write_bytes(b"")
    with caplog.at_level(logging.WARNING):
        state = checkpoint.load_newest(tmp_path, CPU)
    assert state is not None
    assert state["step"] == 1
    assert path.name in caplog.text


def test_a_full_disk_leaves_the_old_checkpoint_intact(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    save(tmp_path, 1, keep=1)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"step-00000002\.pt"):
        save(tmp_path, 2, keep=1)
    monkeypatch.undo()
    state = checkpoint.load_newest(tmp_path, CPU)
    assert state is not None
    assert state["step"] == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["step-00000001.json", "step-00000001.pt"]


def test_a_damaged_one_is_not_taken_for_the_newest_again(tmp_path: Path):
    """Nor does it count among those that are kept."""
    save(tmp_path, 1)
    path = save(tmp_path, 5)
    path.write_bytes(b"")
    assert newest_step(tmp_path) == 5
    assert checkpoint.newest_good(tmp_path) == 1
    assert newest_step(tmp_path) == 1
    save(tmp_path, 3, keep=1)
    assert {file.name for file in tmp_path.iterdir()} == {"step-00000003.pt", "step-00000003.json"}


@pytest.mark.parametrize("asked", range(1, 5))
def test_one_whose_lease_is_lost_in_the_middle_leaves_the_folder_as_good_as_it_was(
    tmp_path: Path, asked: int
):
    save(tmp_path, 1, keep=1)
    calls = iter(range(1, 100))

    def guard() -> None:
        if next(calls) == asked:
            raise LeaseLost("another has it")

    with pytest.raises(LeaseLost):
        checkpoint.save(tmp_path, 2, {"step": 2}, 1, guard)
    state = checkpoint.load_newest(tmp_path, CPU)
    assert state is not None
    assert state["step"] == (2 if asked == 4 else 1)
    assert not list(tmp_path.glob(".*"))
    assert (tmp_path / "step-00000001.pt").is_file()


def test_nothing_but_tensors_and_plain_values_is_unpickled(tmp_path: Path):
    checkpoint.save(tmp_path, 1, {"step": 1, "path": Path("x")}, keep=1)
    with pytest.raises(Exception, match=r"[Ww]eights.only|Unsupported"):
        checkpoint.load_newest(tmp_path, CPU)
