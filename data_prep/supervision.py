"""Which rows' labels a model may see: one fixed number per row defines the subset at every supervision rate."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from data_prep.hash_order import hashes64

PAPER_RATES = (0.004, 0.06, 0.2, 1.0)
"""The supervision rates f of Joy et al. 2021, table 6."""

_HASH_BITS = 24  # as many as a float32 holds exactly


def supervision_rank(
    ids: Sequence[str], *, seed: int, classes: NDArray[np.uint8] | None = None
) -> NDArray[np.float32]:
    """A fixed pseudo-random number in [0, 1) for each of n rows, float32 (n,).

    Without ``classes`` it is a 24-bit hash of (seed, id), so any part of a split can be ranked on its own. With
    ``classes`` (n,), which must then be the whole split, it is (position + ½) / size of the class, the rows of a
    class being ordered by that hash: every class has its share among the labelled at every rate.
    """
    keys = hashes64(f"{seed}\0{row_id}".encode() for row_id in ids)
    if classes is None:
        return ((keys >> np.uint64(64 - _HASH_BITS)) / np.float64(1 << _HASH_BITS)).astype(np.float32)
    rank = np.empty(len(ids), dtype=np.float32)
    for value in np.unique(classes):
        members = np.flatnonzero(classes == value)
        # A stable order by (hash, row): equal hashes, however unlikely, must not depend on the sort.
        rank[members[np.argsort(keys[members], kind="stable")]] = _evenly_spread(len(members))
    return rank


def is_stratified(supervision_rank: NDArray[np.float32], classes: NDArray[np.uint8]) -> bool:
    """Whether the ranks (n,) of a whole split were made with these ``classes`` (n,), whatever the seed."""
    return all(
        np.array_equal(np.sort(supervision_rank[members]), _evenly_spread(int(members.sum())))
        for members in (classes == value for value in np.unique(classes))
    )


def _evenly_spread(count: int) -> NDArray[np.float32]:
    """(position + ½) / count for each position: the ranks of a class, ascending, all below 1."""
    spread = ((np.arange(count) + 0.5) / count).astype(np.float32)
    return np.minimum(spread, np.nextafter(np.float32(1), np.float32(0)))


def labels_used_at(
    rate: float, supervision_rank: NDArray[np.float32], observed: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """The mask (n, L) that a model sees at supervision rate ``rate``: ``observed & (rank < rate)``."""
    return observed & (supervision_rank < np.float32(rate))[:, None]


def first_of_each_class(
    supervision_rank: NDArray[np.float32], classes: NDArray[np.uint8], observed: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """For each class with an observed example, its row of the smallest rank, in the order of the classes.

    All arguments are columns (n,) of one split; of equal ranks the first row counts. These are the rows that
    ``one_per_class`` labels, whatever the supervision rate, and the first of their class to be labelled at any rate.
    """
    known = np.flatnonzero(observed)
    by_rank = known[np.argsort(supervision_rank[known], kind="stable")]
    _, first = np.unique(classes[by_rank], return_index=True)
    return by_rank[first]
