"""One unit of a cell as a function that a launcher can refer to without importing torch, which only the call does."""

from __future__ import annotations

from pathlib import Path

from data_prep.start_up import importing
from jobs.exit_status import exits_as_a_unit


def run_unit(
    unit: str, config_file: Path, take: tuple[str, ...] | None = None, split: str | None = None
) -> None:
    """Run ``train`` or ``evaluate`` on the cell of a ``config.json``, and exit like a command.

    Args:
        unit: which of the two.
        config_file: of the cell.
        take: for ``evaluate``, the measures (see ``jobs.evaluate``); None: those of the configuration.
        split: for ``evaluate``, the split; None: that of the configuration.

    Raises:
        SystemExit: see :func:`jobs.exit_status.exits_as_a_unit`.
    """
    with exits_as_a_unit():
        if unit == "train":
            with importing():
                from jobs.train import SECONDS_TO_THE_FIRST_UPLOAD, train_cell

            train_cell(config_file, patience_s=SECONDS_TO_THE_FIRST_UPLOAD)
        elif unit == "evaluate":
            with importing():
                from jobs.evaluate import evaluate_cell

            evaluate_cell(config_file, take=take, split=split)
        else:
            raise ValueError(f"there is no unit {unit}")
