"""One task of a preparation, as a separate process: ``python -m jobs.prepare --config DATA_SET/.work/plan.json``.

The plan is written by ``data_prep.plan.make_plan`` into a data set's work folder. In a SLURM array each task writes one
shard (its number is the array index), and a job after the array runs ``--merge``, with ``--ffcv`` if a run reads
FFCV files. The local process pool calls the same functions. Each is idempotent.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from data_prep.counted import counted
from data_prep.errors import ConfigError, report_user_errors
from data_prep.plan import Plan
from data_prep.stages import finish
from data_prep.tasks import run_shard


def main(arguments: Sequence[str] | None = None) -> None:
    """Write one shard, or merge the finished ones into a manifest."""
    parser = argparse.ArgumentParser(prog="python -m jobs.prepare", description=__doc__)
    parser.add_argument("--config", type=Path, required=True, help="the plan: DATA_SET/.work/plan.json")
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--task", type=int, help="number of the shard (default: SLURM_ARRAY_TASK_ID)")
    what.add_argument("--merge", action="store_true", help="write the manifest from the finished shards")
    parser.add_argument("--ffcv", action="store_true", help="with --merge: also write the FFCV files")
    given = parser.parse_args(arguments)
    with report_user_errors():
        if given.merge:
            manifest = finish(given.config, betons=given.ffcv)
            print(
                f"{given.config.parent.parent}: {counted(sum(s.rows for s in manifest.splits.values()), 'row')}"
            )
        else:
            record = run_shard(_checked(_task_number(given.task), given.config), given.config)
            print(
                f"{record.spec.file}: {counted(record.spec.rows, 'row')}, {counted(record.spec.bytes, 'byte')}"
            )


def _task_number(given: int | None) -> int:
    if given is not None:
        return given
    number = os.environ.get("SLURM_ARRAY_TASK_ID", "")
    if not number.isdecimal():
        raise ConfigError("no shard given: use --task NUMBER, run this in a SLURM job array, or use --merge")
    return int(number)


def _checked(number: int, plan_file: Path) -> int:
    tasks = len(Plan.load(plan_file).tasks)
    if not 0 <= number < tasks:
        raise ConfigError(f"{plan_file} has tasks 0 to {tasks - 1}, but {number} was given")
    return number


if __name__ == "__main__":
    main()
