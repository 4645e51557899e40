"""What a search optimises: one number of one measure, on a split that is not the test split."""

from __future__ import annotations

import difflib
import math
from dataclasses import dataclass

from data_prep.errors import LaunchError
from pipeline.cells.folder import CellFolder
from pipeline.cells.measurements import Result
from pipeline.measures.plan import planned
from pipeline.measures.recorded import TEST
from pipeline.measures.registry import measure_named


@dataclass(frozen=True, slots=True)
class Objective:
    """``measure/metric``, and the split that it is measured on."""

    measure: str
    """As in ``--measures``: a name, or a name with settings."""
    metric: str
    split: str
    is_maximised: bool

    @property
    def direction(self) -> str:
        """Optuna's word for it."""
        return "maximize" if self.is_maximised else "minimize"

    def __str__(self) -> str:
        return f"{self.measure}/{self.metric}"

    @classmethod
    def parsed(cls, text: str | None, split: str | None) -> Objective:
        """The objective as given on the command line; without a split, that for model selection.

        Raises:
            LaunchError: it is missing, or not of this form, or would look at the test split.
            ConfigError: there is no such measure.
        """
        if text is None:
            raise LaunchError(
                "--search needs --objective MEASURE/METRIC: classification/classification_accuracy"
            )
        split = "valid" if split is None else split
        if split == TEST:
            raise LaunchError(
                "a search never measures the test split, since what was chosen by it is no longer tested by it: use"
                " --split valid, and measure the best trial on test with python launch/measure.py"
            )
        name, _, metric = text.rpartition("/")
        measure = measure_named(name or metric)
        if not name or metric not in measure.metrics:
            close = difflib.get_close_matches(metric, measure.metrics, n=1)
            known = (
                f"did you mean {close[0]}?" if close else f"it has: {', '.join(measure.metrics) or 'none'}"
            )
            raise LaunchError(f"--objective {text}: {measure.name} has no number {metric!r}; {known}")
        better = measure.metrics[metric].better
        if better not in ("higher", "lower"):
            raise LaunchError(f"--objective {text}: neither more nor less of it is better")
        return cls(name, metric, split, better == "higher")

    def value(self, cell: CellFolder) -> tuple[float | None, str]:
        """The number of a measured cell; None with the reason if it has none."""
        (entry,) = planned(cell.measures_config())
        result = Result.read(entry.key.folder(cell.folder))
        if result is None:
            return None, "it was not measured"
        number = result.numbers.get(self.metric)
        if number is None:
            return None, f"{self} has no value here: {result.reason or 'not on this split'}"
        return (number.value, "") if math.isfinite(number.value) else (None, f"{self} is {number.value}")
