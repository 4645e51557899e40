from __future__ import annotations

from pathlib import Path

import pytest

from data_prep.errors import LaunchError
from launch.clusters.slurm.register import Held, Register
from tests.launch.clusters.slurm.plans import entered, in_queue


def test_submissions_are_read_back(tmp_path: Path) -> None:
    register = Register(tmp_path)
    first = entered(register, "train", ["a", "b"], "10")
    entered(register, "evaluate", ["a", "b"], "11")
    again = Register(tmp_path)
    assert again.submissions == register.submissions
    assert again.jobs_of("b") == {"train": "10_1", "evaluate": "11_1"}
    assert again.jobs_of("c") == {}
    assert again.newest("train", "a") == first


def test_the_newest_submission_of_a_cell_counts(tmp_path: Path) -> None:
    register = Register(tmp_path)
    entered(register, "train", ["a", "b"], "10")
    entered(register, "train", ["b"], "20")
    assert register.jobs_of("a") == {"train": "10_0"}
    assert register.jobs_of("b") == {"train": "20_0"}


def test_an_intent_is_recovered_by_its_comment_and_one_that_slurm_never_saw_is_withdrawn(
    tmp_path: Path,
) -> None:
    register = Register(tmp_path)
    taken = entered(register, "train", ["a"], None)
    entered(register, "evaluate", ["a"], None)
    killed = Register(tmp_path)  # the launcher was killed; this is the next one
    killed.recover(in_queue(taken, "77").values())
    assert killed.jobs_of("a") == {"train": "77_0"}
    assert [entry.stage for entry in Register(tmp_path).submissions] == ["train"]


def test_cells_that_wait_for_room_are_kept_for_whoever_looks(tmp_path: Path) -> None:
    register, waits = Register(tmp_path), Held(stage="train", why="MaxSubmitJobs")
    register.hold(["a", "b", "c"], {"b": waits, "c": waits})
    assert Register(tmp_path).held == {"b": waits, "c": waits}
    Register(tmp_path).hold(["b"], {})  # of another launch: c still waits
    assert Register(tmp_path).held == {"c": waits}


def test_two_sweeps_of_the_same_name_do_not_confuse_their_jobs(tmp_path: Path) -> None:
    assert Register(tmp_path / "x" / "sweep").tag != Register(tmp_path / "y" / "sweep").tag


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"submissions": [{"stage": 1}]}', '{"a": {"train": "1_0"}}']
)
def test_a_damaged_register_is_reported_in_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "jobs.json").write_text(text)
    with pytest.raises(LaunchError, match=r"jobs\.json is damaged: .* cancel them with scancel"):
        Register(tmp_path)
