"""Rows of a data set as columns: what a source yields and a shard holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data_prep.errors import RawDataError


@dataclass(frozen=True, kw_only=True)
class Rows:
    """``n`` rows of a source, by column.

    A value of ``labels`` where ``observed`` is false is meaningless; sources write 0 there.
    """

    image: NDArray[np.uint8]
    """(n, C, H, W)"""
    labels: NDArray[np.uint8]
    """(n, L)"""
    observed: NDArray[np.bool_]
    """(n, L): is this label observed?"""
    reference: NDArray[np.bool_]
    """(n,): member of the reference set?"""
    factors: NDArray[np.float32]
    """(n, F); F is 0 for most sources"""
    ids: Sequence[str]
    """n names given by the source, unique in the data set"""
    regions: NDArray[np.int16] | None = None
    """(n, L, 4): left, upper, right, lower (exclusive) of the pixels that each label may change; None if not known"""

    def __len__(self) -> int:
        return len(self.image)

    def check(self, image_shape: tuple[int, int, int], cardinalities: Sequence[int], factors: int) -> None:
        """Raise ``RawDataError`` naming the row unless these rows can be written as they are."""
        n, label_count = len(self), len(cardinalities)
        expected = {
            "image": (np.uint8, (n, *image_shape)),
            "labels": (np.uint8, (n, label_count)),
            "observed": (np.bool_, (n, label_count)),
            "reference": (np.bool_, (n,)),
            "factors": (np.float32, (n, factors)),
        }
        if self.regions is not None:
            expected["regions"] = (np.int16, (n, label_count, 4))
        for column, (dtype, shape) in expected.items():
            array = getattr(self, column)
            if array.dtype != dtype or array.shape != shape:
                found = f"{array.dtype} {array.shape}"
                raise RawDataError(
                    f"rows from {self.ids[0] if self.ids else '?'}: column {column} is {found} where "
                    f"{np.dtype(dtype)} {shape} is expected"
                )
        if len(self.ids) != n:
            raise RawDataError(f"{n} rows have {len(self.ids)} ids")
        if len(set(self.ids)) != n:
            twice, _ = Counter(self.ids).most_common(1)[0]
            raise RawDataError(f"row {twice}: its id occurs twice")
        bad = np.argwhere((self.labels >= np.asarray(cardinalities, dtype=np.int64)) & self.observed)
        if len(bad):
            row, label = bad[0]
            raise RawDataError(
                f"row {self.ids[row]}: label {label} has the value {self.labels[row, label]}, "
                f"but only 0 to {cardinalities[label] - 1} are allowed"
            )
        if not np.isfinite(self.factors).all():
            row = np.argwhere(~np.isfinite(self.factors))[0, 0]
            raise RawDataError(f"row {self.ids[row]}: a factor is not a finite number")
