from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from pipeline.data.order import (
    epoch_order,
    pairs_with_references,
    shares,
    shares_with_references,
    steps_per_epoch,
    steps_with_references,
)


@st.composite
def problems(draw: st.DrawFn) -> dict:
    world_size = draw(st.integers(1, 5))
    rows = draw(st.integers(world_size, 400))
    labelled = draw(st.integers(0, rows))
    mask = np.zeros(rows, dtype=bool)
    mask[np.random.default_rng(draw(st.integers(0, 99))).permutation(rows)[:labelled]] = True
    return {
        "labelled": mask,
        "batch_size": draw(st.integers(world_size, 120)),
        "seed": draw(st.integers(0, 9)),
        "epoch": draw(st.integers(0, 9)),
        "world_size": world_size,
    }


def deal(problem: dict) -> list[list]:
    return [shares(**problem, rank=rank) for rank in range(problem["world_size"])]


@given(problems())
def test_every_row_is_seen_once_over_all_ranks(problem):
    dealt = deal(problem)
    seen = np.concatenate([share.rows for own in dealt for share in own])
    assert sorted(seen) == list(range(len(problem["labelled"])))


@given(problems())
def test_batches_differ_by_one_row_and_no_rank_is_empty(problem):
    dealt = deal(problem)
    sizes = [sum(len(own[step].rows) for own in dealt) for step in range(len(dealt[0]))]
    assert max(sizes) - min(sizes) <= 1
    assert all(share.batch_size == size for own in dealt for share, size in zip(own, sizes, strict=True))
    rows = list(zip(*[[len(share.rows) for share in own] for own in dealt], strict=True))
    assert all([share.rows_of_ranks for share in own] == rows for own in dealt)
    assert all(len(share.rows) >= 1 for own in dealt for share in own)


@given(problems())
def test_a_share_has_its_part_of_labelled_rows_first(problem):
    mask = problem["labelled"]
    for own in deal(problem):
        for share in own:
            expected = len(share.rows) * mask.mean()
            assert np.floor(expected - 1e-9) <= share.labelled <= np.ceil(expected + 1e-9)
            assert mask[share.rows[: share.labelled]].all()
            assert not mask[share.rows[share.labelled :]].any()


@given(problems())
def test_a_batch_does_not_depend_on_the_number_of_ranks(problem):
    if steps_per_epoch(
        len(problem["labelled"]), problem["batch_size"], problem["world_size"]
    ) != steps_per_epoch(len(problem["labelled"]), problem["batch_size"], 1):
        return  # where a rank would be left without a row there are fewer steps
    alone = shares(**problem | {"world_size": 1}, rank=0)
    together = deal(problem)
    for step, share in enumerate(alone):
        assert set(share.rows) == {row for own in together for row in own[step].rows}


def test_an_epoch_has_no_short_last_batch():
    own = shares(np.ones(1001, dtype=bool), batch_size=200, seed=0, epoch=0, rank=0, world_size=1)
    assert sorted(len(share.rows) for share in own) == [166] + [167] * 5


def test_orders_differ_between_epochs_and_seeds_and_repeat_otherwise():
    mask = np.arange(100) % 3 == 0
    assert (epoch_order(mask, 1, 2) == epoch_order(mask, 1, 2)).all()
    assert (epoch_order(mask, 1, 2) != epoch_order(mask, 1, 3)).any()
    assert (epoch_order(mask, 1, 2) != epoch_order(mask, 2, 2)).any()


def test_labelled_rows_are_drawn_from_everywhere_in_turn():
    mask = np.zeros(1000, dtype=bool)
    mask[:60] = True
    first_batches = [
        set(shares(mask, batch_size=100, seed=0, epoch=e, rank=0, world_size=1)[0].rows[:6])
        for e in range(40)
    ]
    assert len(set.union(*first_batches)) > 50


def test_fewer_rows_than_ranks_is_refused():
    with pytest.raises(ConfigError, match="3 rows for 4 ranks"):
        steps_per_epoch(3, 4, 4)


@st.composite
def reference_problems(draw: st.DrawFn) -> dict:
    world_size = draw(st.integers(1, 4))
    others, members = draw(st.integers(world_size, 120)), draw(st.integers(1, 150))
    mask = np.zeros(others + members, dtype=bool)
    mask[np.random.default_rng(draw(st.integers(0, 99))).permutation(len(mask))[:members]] = True
    return {
        "reference": mask,
        "batch_size": draw(st.integers(2, 80)),
        "seed": draw(st.integers(0, 9)),
        "epoch": draw(st.integers(0, 9)),
        "world_size": world_size,
    }


@settings(max_examples=40)
@given(reference_problems())
def test_with_references_every_other_row_is_seen_once_and_each_reference_as_often_as_its_share_says(problem):
    mask = problem["reference"]
    dealt = [shares_with_references(**problem, rank=rank) for rank in range(problem["world_size"])]
    times = np.bincount(np.concatenate([share.rows for own in dealt for share in own]), minlength=len(mask))
    assert (times[~mask] == 1).all()
    each = (~mask).sum() / mask.sum()
    assert times[mask].min() == np.floor(each)
    assert times[mask].max() == np.ceil(each)
    steps = steps_with_references(int((~mask).sum()), problem["batch_size"], problem["world_size"])
    assert {len(own) for own in dealt} == {steps}


@settings(max_examples=40)
@given(reference_problems())
def test_with_references_each_rank_has_as_many_of_them_as_others_first(problem):
    mask = problem["reference"]
    for own in (shares_with_references(**problem, rank=rank) for rank in range(problem["world_size"])):
        for share in own:
            assert share.references == len(share.rows) / 2 >= 1
            assert mask[share.rows[: share.references]].all()
            assert not mask[share.rows[share.references :]].any()
            assert share.labelled == 0


@settings(max_examples=40)
@given(reference_problems())
def test_with_references_a_batch_does_not_depend_on_the_number_of_ranks(problem):
    pairs = pairs_with_references(problem["reference"], problem["seed"], problem["epoch"])
    dealt = [shares_with_references(**problem, rank=rank) for rank in range(problem["world_size"])]
    in_turn = [own[step].rows.reshape(2, -1).T for step in range(len(dealt[0])) for own in dealt]
    assert np.array_equal(np.concatenate(in_turn), pairs)
    for step in range(len(dealt[0])):
        assert {own[step].batch_size for own in dealt} == {sum(len(own[step].rows) for own in dealt)}


def test_there_must_be_a_pair_for_each_rank():
    with pytest.raises(
        ConfigError, match="3 rows outside of its reference set for 4 ranks; use at most 3 ranks"
    ):
        steps_with_references(3, 8, 4)
