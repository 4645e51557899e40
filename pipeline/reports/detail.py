"""The number of one class or factor, from the arrays of a measure, for tables whose columns are classes or factors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.cells.measurements import ARRAYS_FILE
from pipeline.reports.finished import FinishedRun


@dataclass(frozen=True, kw_only=True, slots=True)
class Detail:
    """Where a measure has the numbers that a table's settings name."""

    measure: str
    names: str
    """Array with the names of classes or factors, of any shape."""
    numbers: str
    """Array of that shape with their numbers."""
    row: str
    """The setting under which the paper's runs are known (``PaperSetting.row``), since a run has all of these numbers."""
    whole: tuple[str, ...]
    """Settings that mean the metric itself, over all classes."""
    called: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Our names of a setting, where they differ from the paper's."""

    def number(self, run: FinishedRun, setting: str) -> float | None:
        """The run's number for a setting, by the newest result on the test split; None if it has none."""
        import numpy as np

        newest = run.newest_result(self.measure)
        if newest is None:
            return None
        file = newest.key.folder(run.folder) / ARRAYS_FILE
        if not file.is_file():
            return None
        with np.load(file, allow_pickle=False) as arrays:
            if self.names not in arrays or self.numbers not in arrays:  # from before they were kept
                return None
            found = np.isin(arrays[self.names], self.called.get(setting, (setting,)))
            numbers = arrays[self.numbers][found]
        return float(numbers[0]) if numbers.size == 1 and not np.isnan(numbers[0]) else None
