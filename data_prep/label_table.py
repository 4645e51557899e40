"""Statistics of a split's labels: how often each is observed, which co-occur, how many are used at each rate."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data_prep.manifest import LabelSpec, Manifest
from data_prep.shards.arrow import open_split


@dataclass(frozen=True)
class Value:
    """One value of one label; a binary label is listed by its second value only."""

    label: int
    value: int
    name: str


@dataclass(frozen=True)
class LabelTable:
    """Counts over the rows of a split."""

    values: tuple[Value, ...]
    known: NDArray[np.int64]
    """(L,): rows where the label is observed"""
    shown: NDArray[np.int64]
    """(V, V): rows that have both values; the diagonal has the rows of each"""
    known_both: NDArray[np.int64]
    """(V, V): rows that have the first value, and in which the second's label is observed"""

    def together(self) -> NDArray[np.float64]:
        """(V, V): of the rows that have the first value, the share that has the second; NaN where there is no row."""
        rows = np.where(self.known_both > 0, self.known_both, 1)
        return np.where(self.known_both > 0, self.shown / rows, np.nan)


def values_of(labels: tuple[LabelSpec, ...]) -> tuple[Value, ...]:
    """The values that a table has a line for."""
    values = []
    for number, label in enumerate(labels):
        if label.cardinality == 2:
            values.append(Value(number, 1, label.name))
            continue
        values += [
            Value(number, value, f"{label.name}: {meaning}") for value, meaning in enumerate(label.values)
        ]
    return tuple(values)


def count_labels(folder: Path, manifest: Manifest, split: str) -> LabelTable:
    """Count over a split, a shard at a time; no image is read."""
    values = values_of(manifest.labels)
    label, value = (np.array([getattr(v, f) for v in values], dtype=np.int64) for f in ("label", "value"))
    known = np.zeros(len(manifest.labels), dtype=np.int64)
    shown, known_both = (np.zeros((len(values), len(values)), dtype=np.int64) for _ in range(2))
    for shard in open_split(folder, manifest, split):
        observed = np.asarray(shard.observed)
        known += observed.sum(axis=0)
        # Counts as products of float matrices: exact up to 2^53, and far faster than with integers.
        other = observed[:, label].astype(np.float64)
        has = (shard.labels[:, label] == value) * other
        shown += np.rint(has.T @ has).astype(np.int64)
        known_both += np.rint(has.T @ other).astype(np.int64)
    return LabelTable(values, known, shown, known_both)
