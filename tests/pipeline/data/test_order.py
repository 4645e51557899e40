from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import ConfigError
from pipeline.data.order import epoch_order, shares, steps_per_epoch


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
