"""Submitting planned arrays: for each array a job folder, an intent, one sbatch, and the entry of its id."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from submitit.core.utils import DelayedSubmission

from data_prep.files import naming
from launch.clusters.backend import jobs_folder, new_jobs_folder
from launch.clusters.slurm.arrays import Array, Unit, dependency
from launch.clusters.slurm.register import PREFIX, Register, Submission
from launch.clusters.slurm.sbatch import (
    SbatchRefusal,
    Script,
    call_sbatch,
    environment_file,
    environment_text,
    pickle_file,
    restricts_environment,
    sbatch_text,
    units_file,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Submitter:
    """Submits the arrays of one sweep."""

    sweep: Path
    job_name: str
    code: Path
    retries: int
    lock: int | None
    """Descriptor of the sweep's lock."""

    def submit(self, array: Array, register: Register) -> Submission:
        """Submit an array whose dependencies are submitted; sets its job id.

        Raises:
            LaunchError: SLURM refuses it, or does not answer; it stays in the register only if it may be in the queue.
        """
        comment = register.new_comment()
        script = self._script(array, comment, new_jobs_folder(self.sweep, array.stage))
        file = script.folder / "submission.sh"
        with naming(script.folder):
            minutes = int(array.parameters["time"])
            for index, unit in array.units.items():
                call = DelayedSubmission(unit.function, *unit.arguments)
                call.set_timeout(minutes, 0)
                call.dump(pickle_file(script.folder, index))
            entries = [array.units.get(index) for index in range(max(array.units) + 1)]
            units_file(script.folder).write_text(json.dumps([_for_the_epilogue(unit) for unit in entries]))
            file.write_text(sbatch_text(array, script))
            if restricts_environment(array):
                environment = environment_file(script.folder)
                environment.touch(mode=0o600)
                environment.write_text(environment_text(os.environ))
        named = {cell.name: index for index, unit in array.units.items() for cell in unit.of_cells}
        register.intend(
            Submission(
                comment=comment,
                stage=array.stage,
                folder=str(script.folder),
                units=named,
                at_once=array.at_once,
                take=None if array.measures is None else list(array.measures.take),
                split=None if array.measures is None else array.measures.split,
            )
        )
        try:
            array.job = call_sbatch(file, comment, array.parameters, self.lock)
        except SbatchRefusal:
            register.withdraw([comment])
            raise
        return register.note(comment, array.job)

    def describe(self, arrays: Sequence[Array]) -> list[str]:
        """The script of each array as sbatch would get it; what is unknown before submission is in capitals."""
        names = {id(array): f"ID_OF_ARRAY_{number}" for number, array in enumerate(arrays, start=1)}
        return [
            sbatch_text(
                array,
                self._script(
                    array, f"{PREFIX}/SWEEP/TOKEN", jobs_folder(self.sweep) / f"TIME-{array.stage}", names
                ),
            )
            for array in arrays
        ]

    def _script(
        self, array: Array, comment: str, folder: Path, names: dict[int, str] | None = None
    ) -> Script:
        def job_of(what: Array | str) -> str:
            if isinstance(what, str):
                return what
            job = what.job if names is None else names[id(what)]
            assert job is not None, "submitted in a different order than planned"
            return job

        return Script(
            job_name=self.job_name,
            comment=comment,
            folder=folder,
            code=self.code,
            dependency=dependency(array.dependencies, job_of),
            retries=self.retries,
        )


def _for_the_epilogue(unit: Unit | None) -> dict[str, Any] | None:
    """The entry of a unit for ``jobs.epilogue``."""
    if unit is None:
        return None
    said: dict[str, Any] = {"unit": unit.unit}
    said |= {"configs": [cell.config for cell in unit.members]} if unit.members else {"config": unit.config}
    if unit.measures is not None:
        said |= {"take": unit.measures.take, "split": unit.measures.split}
    return said
