"""Supervision masks: one fixed number per row, nested over the rates, fair to every class."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.supervision import first_of_each_class, is_stratified, labels_used_at, supervision_rank

rates = st.floats(0, 1)
class_lists = st.lists(st.integers(0, 4), min_size=1, max_size=200)


def ids(count: int) -> list[str]:
    return [f"row-{i}" for i in range(count)]


@given(classes=class_lists, first=rates, second=rates, seed=st.integers(0, 5), stratified=st.booleans())
def test_the_labelled_set_at_a_smaller_rate_is_inside_that_at_a_larger(
    classes: list[int], first: float, second: float, seed: int, stratified: bool
) -> None:
    column = np.array(classes, dtype=np.uint8)
    rank = supervision_rank(ids(len(classes)), seed=seed, classes=column if stratified else None)
    observed = np.ones((len(classes), 2), dtype=bool)
    observed[::3, 1] = False
    small, large = (labels_used_at(f, rank, observed) for f in sorted([first, second]))
    assert not (small & ~large).any()
    assert not (large & ~observed).any()


@given(classes=class_lists, seed=st.integers(0, 5), stratified=st.booleans())
def test_ranks_tell_whether_they_are_stratified(classes: list[int], seed: int, stratified: bool) -> None:
    column = np.array(classes, dtype=np.uint8)
    rank = supervision_rank(ids(len(classes)), seed=seed, classes=column if stratified else None)
    assert is_stratified(rank, column) == stratified


@given(classes=class_lists, rate=rates)
def test_each_class_has_its_share_of_the_labelled(classes: list[int], rate: float) -> None:
    column = np.array(classes, dtype=np.uint8)
    rank = supervision_rank(ids(len(classes)), seed=0, classes=column)
    for value in set(classes):
        members = column == value
        assert abs((rank[members] < np.float32(rate)).sum() - rate * members.sum()) <= 0.5 + 1e-3


@pytest.mark.parametrize("stratified", [True, False])
def test_ranks_lie_in_the_half_open_unit_interval_and_all_are_used_at_rate_1(stratified: bool) -> None:
    column = (np.arange(5000) % 7).astype(np.uint8)
    rank = supervision_rank(ids(5000), seed=3, classes=column if stratified else None)
    assert rank.dtype == np.float32
    assert (rank >= 0).all()
    assert (rank < 1).all()
    assert labels_used_at(1.0, rank, np.ones((5000, 1), dtype=bool)).all()
    assert not labels_used_at(0.0, rank, np.ones((5000, 1), dtype=bool)).any()


def test_unstratified_ranks_do_not_depend_on_which_rows_are_ranked_together() -> None:
    whole = supervision_rank(ids(100), seed=1)
    parts = [supervision_rank(ids(100)[start : start + 30], seed=1) for start in range(0, 100, 30)]
    np.testing.assert_array_equal(whole, np.concatenate(parts))


def test_unstratified_ranks_are_uniform() -> None:
    rank = supervision_rank(ids(20_000), seed=0)
    counts, _ = np.histogram(rank, bins=10, range=(0, 1))
    assert ((counts - 2000) ** 2 / 2000).sum() < 27.9  # chi-square with 9 degrees of freedom, p = 0.001


def test_ranks_are_pinned_because_prepared_data_depends_on_them() -> None:
    rank = supervision_rank(["a", "b", "c"], seed=0)
    np.testing.assert_array_equal((rank * 2**24).astype(np.int64), [1431767, 6110803, 55852])
    assert not np.array_equal(rank, supervision_rank(["a", "b", "c"], seed=1))


@given(classes=class_lists, seed=st.integers(0, 5), stratified=st.booleans())
def test_one_per_class_is_the_first_of_each_class_to_be_labelled(
    classes: list[int], seed: int, stratified: bool
) -> None:
    column = np.array(classes, dtype=np.uint8)
    observed = np.arange(len(classes)) % 4 != 3
    rank = supervision_rank(ids(len(classes)), seed=seed, classes=column if stratified else None)
    rows = first_of_each_class(rank, column, observed)
    assert column[rows].tolist() == sorted(set(column[observed].tolist()))
    for row in rows:
        rivals = observed & (column == column[row])
        assert observed[row]
        assert rank[row] == rank[rivals].min()


def test_of_equal_ranks_the_first_row_is_labelled_regardless_of_the_others() -> None:
    rank = np.array([0.5, 0.2, 0.2, 0.1, 0.2], dtype=np.float32)
    classes = np.array([1, 1, 1, 0, 1], dtype=np.uint8)
    assert first_of_each_class(rank, classes, np.ones(5, dtype=bool)).tolist() == [3, 1]
    assert first_of_each_class(rank, classes, np.zeros(5, dtype=bool)).tolist() == []


@pytest.mark.parametrize("stratified", [True, False])
def test_labelled_rows_are_not_the_first_of_the_file(stratified: bool) -> None:
    """The trap in public code: the first ``f · n`` rows, which a sorted file makes one class or one person."""
    column = np.repeat(np.arange(10), 1000).astype(np.uint8)
    rank = supervision_rank(ids(10_000), seed=0, classes=column if stratified else None)
    labelled = np.flatnonzero(labels_used_at(0.06, rank, np.ones((10_000, 1), dtype=bool))[:, 0])
    assert (labelled < 600).sum() < 60
    assert abs(labelled.mean() - 5000) < 500
    assert abs(np.corrcoef(np.arange(10_000), rank)[0, 1]) < 0.05
