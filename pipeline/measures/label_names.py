"""Names of labels and of their values as arrays, next to a measure's numbers for each of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from data_prep.manifest import LabelSpec


def value_names(labels: Sequence[LabelSpec]) -> np.ndarray:
    """The name of each value of each label (label, value); empty beyond a label's own values."""
    import numpy as np

    most = max(label.cardinality for label in labels)
    rows = [[*label.values, *[""] * (most - label.cardinality)] for label in labels]
    return np.array(rows, dtype=np.str_)
