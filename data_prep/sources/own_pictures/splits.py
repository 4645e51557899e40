"""Which split each row is in: as a column says, or by a hash of its group or its name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.hash_order import hashes64
from data_prep.sources.own_pictures.roles import Roles, split_of
from data_prep.sources.own_pictures.table import Table
from data_prep.sources.text_tables import Names

ORDER = ("train", "valid", "test")
_VALID_FROM, _TEST_FROM = 0.8, 0.9
"""Of the hash as a fraction: 80 % are for training, 10 % each for validation and test."""


@dataclass(frozen=True)
class Splits:
    """The split of each row."""

    number: NDArray[np.int8]
    """(rows,): index in ``ORDER``"""
    how: str
    """for a person"""
    divided_groups: int = 0
    """groups that a column of splits puts into more than one"""


def splits_of(table: Table, roles: Roles, names: Names) -> Splits:
    """The split of each row; ``names`` (rows,) are its pictures.

    Where a column says splits but none for testing, a tenth of the training rows is for testing, by the same hash.
    """
    fractions = _fractions(table, roles, names)
    by_hash = np.searchsorted(_bounds(fractions), fractions, side="right").astype(np.int8)
    decided = f"a hash of {roles.group}" if roles.group is not None else "a hash of the name"
    if roles.split is None:
        return Splits(by_hash, f"80 / 10 / 10 by {decided}")
    column = table.columns[roles.split]
    numbers = [ORDER.index(split_of(text, roles.split) or "train") for text in column.texts.to_pylist()]
    number, how = np.array(numbers, dtype=np.int8)[column.codes], f"as column {roles.split} says"
    if not (number == ORDER.index("test")).any():
        number = np.where(
            (number == ORDER.index("train")) & (by_hash == ORDER.index("test")), by_hash, number
        )
        how += f", and a tenth of train for test by {decided}, as it names none"
    return Splits(number, how, _divided(table, roles, number))


def refuse_unusable(where: str, column: str | None, counts: Sequence[int], known_in_test: int) -> None:
    """``RawDataError`` unless there are rows for training and for testing, and the latter have labels.

    ``column``: what says the splits; None: a hash.
    """
    by_hash = "divide all pictures by a hash with split=none"
    remedy = (
        "add some, or name a column of splits with split=COLUMN"
        if column is None
        else f"add some, or {by_hash}"
    )
    by_split = dict(zip(ORDER, counts, strict=True))
    for split in ("train", "test"):
        if not by_split[split]:
            shown = ", ".join(f"{name} {count:,}" for name, count in by_split.items())
            raise RawDataError(f"{where} gives no picture for {split} ({shown}): {remedy}")
    if not known_in_test:
        raise RawDataError(
            f"{where}: none of the {by_split['test']:,} pictures for testing has a known label: {remedy}"
        )


def _fractions(table: Table, roles: Roles, names: Names) -> NDArray[np.float64]:
    """A number in [0, 1) of each row's group, or of its name if it has none."""
    fractions = np.zeros(len(table))
    own = np.ones(len(table), dtype=np.bool_)
    if roles.group is not None:
        column = table.columns[roles.group]
        of_text = hashes64(str(text).encode() for text in column.texts.to_pylist()) / 2.0**64
        own = column.is_blank()
        fractions = of_text[column.codes]
    fractions[own] = hashes64(names[own].tolist()) / 2.0**64
    return fractions


def _bounds(fractions: NDArray[np.float64]) -> tuple[float, float]:
    """Where validation and test begin: lower than usual if of a few groups none were in them."""
    different = np.unique(fractions)
    test_from = min(_TEST_FROM, float(different[-1]))
    others = different[different < test_from]
    return min(_VALID_FROM, float(others[-1])) if len(others) > 1 else test_from, test_from


def _divided(table: Table, roles: Roles, number: NDArray[np.int8]) -> int:
    if roles.group is None:
        return 0
    column = table.columns[roles.group]
    rows = ~column.is_blank()
    pairs = np.unique(np.stack([column.codes[rows], number[rows].astype(np.int32)]), axis=1)
    return int((np.unique(pairs[0], return_counts=True)[1] > 1).sum())
