"""Runs as CSV, one row per run: its settings and its numbers as columns, for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from pipeline.measures.recorded import numbers_of
from pipeline.measures.versions import newest_only
from pipeline.tracking.runs import RecordedRun

FIRST_COLUMNS = ("sweep", "cell", "run_id", "status", "git_commit", "preset")
_NO_SETTING = ("tracking.", "measures.")


def runs_as_csv(sweep: str, runs: Sequence[RecordedRun]) -> str:
    """A row per run: where it is from, every setting under its dotted name, every number as ``<split>/<metric>``.

    A cell is empty where a run has no such setting or number, or the number is by an earlier version of its measure than
    that of other runs.
    """
    rows = []
    settings: dict[str, None] = {}
    metrics: set[str] = set()
    for run in newest_only(runs)[0]:
        row: dict[str, object] = {
            "sweep": sweep,
            "cell": run.cell,
            "run_id": run.run_id,
            "status": run.status,
            "git_commit": run.tags.get("git_commit", ""),
            "preset": run.tags.get("preset", ""),
        }
        own = {name: value for name, value in run.params.items() if not name.startswith(_NO_SETTING)}
        numbers = {f"{split}/{metric}": value for (split, metric), value in numbers_of(run).items()}
        settings |= dict.fromkeys(own)
        metrics |= numbers.keys()
        rows.append(row | own | numbers)
    text = io.StringIO()
    header = [*FIRST_COLUMNS, *sorted(settings), *sorted(metrics)]
    writer = csv.DictWriter(text, header, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
