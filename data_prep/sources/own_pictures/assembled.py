"""Rows of each split, with their labels, from what was found and the user's options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError
from data_prep.faults import SeveralFaults
from data_prep.manifest import LabelSpec
from data_prep.sources.own_pictures.found import Found
from data_prep.sources.own_pictures.label_values import LabelValues, label_values
from data_prep.sources.own_pictures.roles import Roles, factor_values
from data_prep.sources.own_pictures.splits import ORDER, Splits, refuse_unusable, splits_of

WhichPictures = Literal["all", "both", "unlabelled"]
"""``all``: every picture has a row, and every row a picture; ``both``: only what has; ``unlabelled``: pictures without a
row are for training, without labels."""

NOT_THERE, NOT_NAMED = "named by a row, but not there", "there, but not named by a row"


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows of one split, in the order of their pictures."""

    picture: NDArray[np.int64]
    """(n,)"""
    row: NDArray[np.int64]
    """(n,): in the table; -1: none"""
    labels: NDArray[np.uint8]
    """(n, L)"""
    observed: NDArray[np.bool_]
    """(n, L)"""
    reference: NDArray[np.bool_]
    """(n,)"""
    factors: NDArray[np.float32]
    """(n, F)"""


@dataclass(frozen=True, kw_only=True)
class Assembled:
    """All that is known without reading the pictures."""

    labels: tuple[LabelSpec, ...]
    splits: Mapping[str, Rows]
    """those that have rows"""
    how_split: Splits
    left_out: Mapping[str, int]
    """reason → pictures or rows"""


def one_sided(found: Found, pictures: WhichPictures) -> list[SeveralFaults]:
    """What is wrong if rows name no picture, or pictures have no row, unless the option says what to do with them."""
    gone, extra, faults = found.without_picture, found.without_row, list[SeveralFaults]()
    if len(gone) and pictures != "both":
        column = found.table.columns[found.names_column or ""]
        sentences = [
            f"{found.table.row(row)} names {column.text(row)!r}, which is not there" for row in gone.tolist()
        ]
        faults.append(
            SeveralFaults(
                f"{sentences[0]} ({len(gone):,} of {len(found.table):,} rows name no picture): pictures=both takes what "
                "is on both sides",
                sentences,
            )
        )
    if len(extra) and pictures == "all":
        names = [found.files.name_of(name) for name in found.names[extra].tolist()]
        sentences = [f"{name} has no row in {found.table.where}" for name in names]
        faults.append(
            SeveralFaults(
                f"{sentences[0]} ({len(extra):,} of {len(found.names):,} pictures have none): pictures=both leaves them "
                "out, pictures=unlabelled takes them for training without labels",
                sentences,
            )
        )
    return faults


def assembled(found: Found, roles: Roles, pictures: WhichPictures) -> Assembled:
    """Put the rows into their splits; ``RawDataError`` if a split that is needed has none."""
    rows = np.flatnonzero(found.picture >= 0)
    if not len(rows):
        raise RawDataError(f"{found.table.where} names no picture that is there")
    mask = found.picture >= 0
    table = found.table[mask]
    picture = found.picture[mask]
    how = splits_of(table, roles, found.names[picture])
    value, known = _labels(found, roles, mask)
    reference = np.zeros(len(table), dtype=np.bool_)
    if roles.reference is not None:
        reference = _yes(found, roles.reference)[mask]
    factors = [factor_values(found.table, name)[mask] for name in roles.factors]
    taken = Rows(
        picture=picture,
        row=rows,
        labels=value,
        observed=known,
        reference=reference,
        factors=np.stack(factors, axis=1) if factors else np.zeros((len(table), 0), dtype=np.float32),
    )
    number = how.number
    extra = found.without_row
    if pictures == "unlabelled" and len(extra):
        if factors:
            raise RawDataError(
                "pictures=unlabelled: a picture without a row has no factors; leave out factors="
            )
        taken, number = (
            _with_unlabelled(taken, extra),
            np.concatenate([number, np.zeros(len(extra), np.int8)]),
        )
    counts = np.bincount(number, minlength=len(ORDER)).tolist()
    known_in_test = int(taken.observed[number == ORDER.index("test")].any(axis=1).sum())
    refuse_unusable(found.table.where, roles.split, counts, known_in_test)
    gone = {NOT_THERE: len(found.without_picture), NOT_NAMED: len(extra) if pictures == "both" else 0}
    return Assembled(
        labels=tuple(label.spec for label in roles.labels.values()),
        splits={split: _of_split(taken, number == i) for i, split in enumerate(ORDER) if counts[i]},
        how_split=how,
        left_out={why: count for why, count in gone.items() if count},
    )


def _labels(
    found: Found, roles: Roles, rows: NDArray[np.bool_]
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    codes = {name: found.table.columns[name].codes[rows] for name in roles.labels}
    value = [label.value[codes[name]] for name, label in roles.labels.items()]
    known = [label.known[codes[name]] for name, label in roles.labels.items()]
    return np.stack(value, axis=1), np.stack(known, axis=1)


def _yes(found: Found, name: str) -> NDArray[np.bool_]:
    """Where a column of two values says yes."""
    column = found.table.columns[name]
    values: LabelValues = label_values(name, column.texts.to_pylist())
    if values.spec.values != ("no", "yes"):
        shown = ", ".join(values.spec.values[:5])
        raise RawDataError(
            f"{found.table.where}: {name} has the values {shown}, but reference needs 0 and 1, or yes and no"
        )
    return np.asarray((values.value == 1) & values.known)[column.codes]


def _with_unlabelled(rows: Rows, extra: NDArray[np.int64]) -> Rows:
    n, labels = len(extra), rows.labels.shape[1]
    return Rows(
        picture=np.concatenate([rows.picture, extra]),
        row=np.concatenate([rows.row, np.full(n, -1, dtype=np.int64)]),
        labels=np.concatenate([rows.labels, np.zeros((n, labels), dtype=np.uint8)]),
        observed=np.concatenate([rows.observed, np.zeros((n, labels), dtype=np.bool_)]),
        reference=np.concatenate([rows.reference, np.zeros(n, dtype=np.bool_)]),
        factors=np.zeros((n + len(rows.picture), 0), dtype=np.float32),
    )


def _of_split(rows: Rows, chosen: NDArray[np.bool_]) -> Rows:
    members = np.flatnonzero(chosen)
    members = members[np.argsort(rows.picture[members], kind="stable")]
    return Rows(**{column: getattr(rows, column)[members] for column in Rows.__dataclass_fields__})
