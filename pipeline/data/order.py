"""Which rows make up which batch: a function of (seed, epoch), distributed over the ranks.

The rules, which hold for every loader:

* Each row of the split is seen once per epoch over all ranks, for any number of ranks.
* There is no short last batch and nothing is dropped: an epoch has ``ceil(rows / batch_size)`` steps, and the rows are
  spread over them so that batches differ by at most one row. (If that would leave a rank without a row, there are
  fewer steps, each a little larger.)
* Labelled rows are spread evenly: any contiguous part of the order has its share of them, rounded down or up.
* A batch is split into contiguous parts, one per rank; so the content of a batch does not depend on the
  number of ranks.

A system that draws references (Ruiz et al. 2019, Algorithm 1) has other batches: as many images of the reference set as
others. An epoch is each of the others once, each with a reference image; so a reference image is seen
``others / references`` times, rounded down or up (twice per epoch of transformed MNIST, 15 times of AffectNet).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from jaxtyping import Bool, Int64

from data_prep.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Share:
    """One rank's part of one batch."""

    rows: Int64[np.ndarray, " share"]
    """Row numbers in the split, labelled rows first."""
    labelled: int
    """Number of leading labelled rows."""
    batch_size: int
    """Rows of the full batch, over all ranks."""
    rows_of_ranks: tuple[int, ...]
    """Rows of each rank's part of the batch; they differ by at most one (with references by two)."""
    references: int | None = None
    """Number of leading rows of the reference set, for a system that draws them."""


def epoch_order(labelled: Bool[np.ndarray, " row"], seed: int, epoch: int) -> Int64[np.ndarray, " row"]:
    """A permutation of the rows in which the labelled ones are evenly spread."""
    generator = np.random.default_rng([seed, epoch])
    with_label = generator.permutation(np.flatnonzero(labelled))
    without_label = generator.permutation(np.flatnonzero(~labelled))
    slot_is_labelled = np.zeros(len(labelled), dtype=bool)
    if len(with_label):
        offset = generator.random()
        slots = (np.arange(len(with_label)) + offset) * (len(labelled) / len(with_label))
        slot_is_labelled[np.minimum(slots.astype(np.int64), len(labelled) - 1)] = True
    order = np.empty(len(labelled), dtype=np.int64)
    order[slot_is_labelled] = with_label
    order[~slot_is_labelled] = without_label
    return order


def steps_per_epoch(rows: int, batch_size: int, world_size: int) -> int:
    """Number of batches of an epoch; ConfigError if there are fewer rows than ranks."""
    if rows < world_size:
        raise ConfigError(f"the split has {rows} rows for {world_size} ranks; use at most {rows} ranks")
    return min(-(-rows // batch_size), rows // world_size)


def cuts_of_steps(rows: int, steps: int, world_size: int) -> Iterator[list[int]]:
    """Where each rank's rows of a step begin, and the last one's end; batches and ranks differ by a row at most."""
    for step in range(steps):
        start, stop = rows * step // steps, rows * (step + 1) // steps
        yield [start + (stop - start) * number // world_size for number in range(world_size + 1)]


def shares(
    labelled: Bool[np.ndarray, " row"], *, batch_size: int, seed: int, epoch: int, rank: int, world_size: int
) -> list[Share]:
    """This rank's part of one epoch, a share per step."""
    order = epoch_order(labelled, seed, epoch)
    steps = steps_per_epoch(len(order), batch_size, world_size)
    dealt = []
    for cuts in cuts_of_steps(len(order), steps, world_size):
        own = order[cuts[rank] : cuts[rank + 1]]
        has_label = labelled[own]
        dealt.append(
            Share(
                rows=np.concatenate([own[has_label], own[~has_label]]),
                labelled=int(has_label.sum()),
                batch_size=cuts[-1] - cuts[0],
                rows_of_ranks=tuple(after - before for before, after in pairwise(cuts)),
            )
        )
    return dealt


def images_per_epoch(rows: int, references: int | None) -> int:
    """Images that an epoch shows of a split; ``references``: its rows of the reference set, if the system draws them."""
    return rows if references is None else 2 * (rows - references)


def steps_with_references(pairs: int, batch_size: int, world_size: int) -> int:
    """Number of batches of an epoch of ``pairs``, each an image outside of the reference set and one of it.

    Raises:
        ConfigError: there are fewer pairs than ranks.
    """
    if pairs < world_size:
        raise ConfigError(
            f"the split has {pairs} rows outside of its reference set for {world_size} ranks; use at most {pairs} ranks"
        )
    return min(-(-2 * pairs // batch_size), pairs // world_size)


def pairs_with_references(
    reference: Bool[np.ndarray, " row"], seed: int, epoch: int
) -> Int64[np.ndarray, "pair 2"]:
    """Each row outside of the reference set once, in random order, after a reference row.

    Reference rows are drawn in turns, a new random order for each turn.
    """
    generator = np.random.default_rng([seed, epoch])
    others = generator.permutation(np.flatnonzero(~reference))
    members = np.flatnonzero(reference)
    turns = [generator.permutation(members) for _ in range(-(-len(others) // len(members)))]
    return np.stack([np.concatenate(turns)[: len(others)], others], axis=1)


def shares_with_references(
    reference: Bool[np.ndarray, " row"], *, batch_size: int, seed: int, epoch: int, rank: int, world_size: int
) -> list[Share]:
    """This rank's part of one epoch of a system that draws references, and that sees no labels."""
    pairs = pairs_with_references(reference, seed, epoch)
    steps = steps_with_references(len(pairs), batch_size, world_size)
    dealt = []
    for cuts in cuts_of_steps(len(pairs), steps, world_size):
        own = pairs[cuts[rank] : cuts[rank + 1]]
        dealt.append(
            Share(
                rows=own.T.flatten(),
                labelled=0,
                batch_size=2 * (cuts[-1] - cuts[0]),
                rows_of_ranks=tuple(2 * (after - before) for before, after in pairwise(cuts)),
                references=len(own),
            )
        )
    return dealt
