"""A user's limits, from a recorded answer of SLURM 22.05, and what is submitted within them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.pending_work import PendingWork
from launch.clusters.slurm.room import fitting
from launch.clusters.slurm.sbatch import NoRoom
from launch.clusters.slurm.stages import planned
from launch.clusters.slurm.submit_limits import SubmitLimit, parsed_limits
from launch.clusters.slurm.within_limits import submit_within, worth_another_try
from tests.launch.clusters.slurm.plans import SWEEP, cells, limits, prepared_by

RECORD = Path(__file__).with_name("assoc_mgr_record.txt").read_text()
THREE = SubmitLimit(name="MaxSubmitJobs", owner="account lab", most=3, used=0)


@pytest.mark.parametrize(
    ("account", "qos", "expected"),
    [
        (None, None, {("account root", "MaxSubmitJobs", 5, 0)}),
        ("lab", None, {("account lab", "MaxSubmitJobs", 3, 2), ("account lab", "GrpSubmitJobs", 7, 2)}),
        ("lab", "long", {
            ("account lab", "MaxSubmitJobs", 3, 2), ("account lab", "GrpSubmitJobs", 7, 2),
            ("QOS long", "GrpSubmitJobs", 9, 2), ("QOS long", "MaxSubmitJobsPA", 4, 2),
            ("QOS long", "MaxSubmitJobsPU", 2, 2),
        }),
        ("elsewhere", "none", set()),
    ],
)  # fmt: skip
def test_the_limits_of_the_account_and_of_the_qos_are_read(account, qos, expected) -> None:
    found = parsed_limits(RECORD, "root", 0, account, qos)
    assert {(limit.owner, limit.name, limit.most, limit.used) for limit in found} == expected


def plan(shards: int = 0, train: int = 0, measure: int = 0, max_parallel: int | None = None) -> list[Array]:
    allowed = limits(max_parallel=max_parallel)
    now = PendingWork(train=cells(train), measure=cells(measure, first_seed=100))
    preparations = [prepared_by(shards, allowed)] if shards else []
    return planned(now, preparations, allowed, SWEEP, ["x"])


def tasks(arrays: list[Array]) -> list[tuple[str, int]]:
    return [(array.stage, len(array.units)) for array in arrays]


@pytest.mark.parametrize(
    ("given", "room", "expected"),
    [
        ({"train": 2}, 5, [("train", 2), ("evaluate", 2), ("compare", 1)]),
        ({"train": 2}, 3, [("train", 1), ("evaluate", 1), ("compare", 1)]),
        ({"train": 2}, 2, [("train", 1), ("evaluate", 1)]),
        ({"train": 2}, 1, [("train", 1)]),
        ({"train": 2}, 0, []),
        ({"train": 9, "measure": 3}, 10, [("train", 4), ("evaluate", 4), ("evaluate", 1), ("compare", 1)]),
        ({"shards": 5, "train": 2}, 3, [("prepare", 2)]),
        ({"shards": 2, "train": 2}, 3, [("prepare", 2)]),
        ({"shards": 2, "train": 2}, 6, [("prepare", 2), ("merge", 1), ("train", 1), ("evaluate", 1), ("compare", 1)]),
        ({"train": 3, "max_parallel": 1}, 5, [("train", 2), ("evaluate", 2), ("compare", 1)]),
    ],
)  # fmt: skip
def test_what_fits_is_whole_pairs_of_training_and_measuring(given, room: int, expected) -> None:
    arrays = fitting(plan(**given), room)
    assert tasks(arrays) == expected
    for array in arrays:
        for before in array.dependencies:
            assert before.what in arrays[: arrays.index(array)]
            if before.kind == "aftercorr" and isinstance(before.what, Array):
                assert array.units.keys() <= before.what.units.keys()


def test_what_does_not_fit_is_held_with_the_limit_as_reason() -> None:
    submitted: list[Array] = []
    held = submit_within(lambda: THREE, lambda: plan(train=2), submitted.append)
    assert tasks(submitted) == [("train", 1), ("evaluate", 1), ("compare", 1)]
    ((name, entry),) = held.items()
    assert name == cells(2)[1].name
    assert (entry.stage, entry.why) == (
        "train",
        "account lab allows 3 jobs in the queue at once (MaxSubmitJobs)",
    )


def test_without_a_limit_everything_is_submitted() -> None:
    submitted: list[Array] = []
    assert submit_within(lambda: None, lambda: plan(train=2), submitted.append) == {}
    assert tasks(submitted) == [("train", 2), ("evaluate", 2), ("compare", 1)]


def test_a_limit_that_only_sbatch_knows_is_found_by_halving() -> None:
    """Sbatch allows five tasks at once; what it took is not planned again."""
    taken: dict[str, int] = {}

    def left() -> list[Array]:
        arrays = plan(train=8)
        train, measure = arrays[0], arrays[1]
        done = taken.get("evaluate", 0)
        for array in (train, measure):
            array.units = {index: unit for index, unit in array.units.items() if index >= done}
        return arrays

    def submit(array: Array) -> None:
        if sum(taken.values()) + len(array.units) > 5:
            raise NoRoom("QOSMaxSubmitJobPerUserLimit")
        taken[array.stage] = taken.get(array.stage, 0) + len(array.units)

    held = submit_within(lambda: None, left, submit)
    assert taken["train"] == taken["evaluate"]
    assert 2 <= sum(taken.values()) <= 5
    assert len(held) == 8 - taken["train"]
    assert {entry.why for entry in held.values()} == {
        "sbatch accepts no more jobs at the moment (QOSMaxSubmitJobPerUserLimit)"
    }


@pytest.mark.parametrize(
    ("most", "used", "left", "worth"),
    [(3, 3, 9, False), (3, 2, 9, True), (100, 90, 9, True), (100, 90, 50, False), (100, 75, 50, True), (1, 0, 5, True)],
)  # fmt: skip
def test_more_is_submitted_in_portions(most: int, used: int, left: int, worth: bool) -> None:
    assert worth_another_try(replace(THREE, most=most, used=used), left) == worth
