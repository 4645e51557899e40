"""The backend that submits a sweep to SLURM: one sbatch per array, one squeue per poll."""

from __future__ import annotations

import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from data_prep.counted import counted
from data_prep.errors import LaunchError
from data_prep.program_name import program
from jobs.trial import Trials
from launch.clusters.backend import State
from launch.clusters.packing import refuse_to_pack_ranks, without_auto
from launch.clusters.resources import Resources
from launch.clusters.slurm import data as preparing
from launch.clusters.slurm.cell_states import CellStates
from launch.clusters.slurm.description import described
from launch.clusters.slurm.facts import ClusterFacts, read_facts
from launch.clusters.slurm.job_parameters import job_parameters
from launch.clusters.slurm.job_resources import JobResources, want_gpus
from launch.clusters.slurm.preflight import preflight
from launch.clusters.slurm.queue import queued
from launch.clusters.slurm.register import Held, Register
from launch.clusters.slurm.sbatch import SbatchRefusal
from launch.clusters.slurm.snapshot import CODE, take_snapshot
from launch.clusters.slurm.sweep_jobs import SweepJobs, jobs_of_all_sweeps, own_jobs
from launch.clusters.slurm.trial_job import run_trial_job
from launch.plan import NeededData
from launch.readers import ReaderSweep
from pipeline.cell import Cell
from pipeline.measures.plan import is_done


class SlurmBackend:
    """Stages of a sweep as chained arrays; their state is in the sweep's folder and in SLURM's queue."""

    def __init__(
        self,
        sweep: Path,
        resources: Resources,
        *,
        config_file: Path | None = None,
        facts: ClusterFacts | None = None,
    ) -> None:
        """``facts``: of the cluster, if already known; otherwise the cluster is queried, and must answer."""
        programs = [shutil.which(name) for name in ("sbatch", "squeue")]
        if facts is None and None in programs:
            raise LaunchError(
                "--cluster slurm needs sbatch and squeue, which are not installed: run it on a login node, or use"
                " --cluster local"
            )
        self.sweep, self.facts = sweep, read_facts() if facts is None else facts
        self.jobs = JobResources(resources, config_file, self.facts)
        self._sweep_jobs = SweepJobs(sweep, self.jobs)
        self._of_readers: list[SlurmBackend] = []
        self._states = CellStates(sweep, [])

    @property
    def held(self) -> dict[str, Held]:
        """Cells and shards whose jobs wait for room in the queue, by name."""
        return self._sweep_jobs.held

    def describe(
        self, cells: Sequence[Cell], data: Sequence[NeededData], readers: Sequence[Cell] = ()
    ) -> str:
        """The arrays of a sweep that is not submitted yet, with the exact text for sbatch; those of its readers first."""
        return described(self.sweep, self.jobs, cells, data, readers)

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Print what was chosen; run the preflight checks unless jobs of this sweep are already in the queue."""
        still_open = [cell for cell in cells if not is_done(cell)]
        refuse_to_pack_ranks(still_open, self.jobs.as_given())
        if not still_open or own_jobs(Register(self.sweep), jobs_of_all_sweeps()):
            return
        for sentence in self.jobs.of_the_largest(still_open)[1]:
            print(sentence)
        if not thorough:
            return
        findings = preflight(
            self.jobs.shapes(still_open),
            self.facts,
            sweep=self.sweep,
            data=[entry.folder for entry in data],
            tracking=tracking,
            code=CODE,
            cells=still_open,
        )
        for finding in findings:
            if finding.level == "warning":
                print(f"warning: {finding.sentence}")
        problems = [finding.sentence for finding in findings if finding.level == "problem"]
        if problems:
            raise LaunchError(f"{'; '.join(problems)} (--no-preflight skips this check)")

    def prepare(self, data: Sequence[NeededData]) -> None:
        """Plan each data set that is not ready; its shards are written by jobs."""
        self._sweep_jobs.needed = data
        for entry in data:
            if entry.is_ready():
                continue
            with preparing.data_set_lock(entry, print):
                register, queue = Register(self.sweep), jobs_of_all_sweeps()
                if preparing.merge_at_work(entry, register, queue) is None:
                    preparing.plan_shards(entry)

    def submit(
        self,
        cells: Sequence[Cell],
        lock: BinaryIO | None = None,
        *,
        train: bool = True,
        readers: Sequence[ReaderSweep] = (),
    ) -> None:
        """Submit what is neither done nor in the queue; the caller holds ``lock``, the sweep's.

        Data sets are prepared if cells are to be trained, or if there are no cells at all. Readers are submitted first,
        each by a backend of its own sweep, so that measuring can wait for their jobs.
        """
        if readers and not all(entry.is_ready() for entry in self._sweep_jobs.needed):
            self.submit([], lock)  # data are prepared by jobs of this sweep, which then knows why they failed
        self._of_readers = [self._submitted_readers(sweep) for sweep in readers]
        self._replace_auto(cells, lock)
        self._states = CellStates(self.sweep, cells)
        self._sweep_jobs.submit(cells, lock, train=train)

    def _replace_auto(self, cells: Sequence[Cell], lock: BinaryIO | None) -> None:
        """Replace ``cells_per_gpu auto`` by a number: that of an earlier launch, or of a job that tries it out now."""
        given = self.jobs.as_given()
        if given.cells_per_gpu != "auto" or not cells:
            return
        resources, _ = self.jobs.of(1, on_gpus=want_gpus(cells))
        what = "a GPU" if resources.gpus.count else counted(resources.cpus_per_task or 1, "CPU")
        place = f"{what} of partition {resources.partition}"

        def trials(counts: Sequence[int]) -> Trials | None:
            untrained = [cell for cell in cells if not cell.is_trained()]
            if not untrained:
                return None
            waiting = [entry for entry in self._sweep_jobs.needed if not entry.is_ready()]
            if waiting:
                raise LaunchError(
                    f"cells_per_gpu auto needs the prepared data, and {waiting[0].folder} is not ready yet: prepare it"
                    " first (python launch/prepare.py --help), or give a number"
                )
            submitter = self._sweep_jobs.submitter(take_snapshot(self.sweep), lock)
            return run_trial_job(
                submitter, Register(self.sweep), untrained, job_parameters(resources, 1), counts
            )

        chosen = without_auto(self.sweep, given, place, trials, len(cells)).cells_per_gpu
        self.jobs.set_cells_per_gpu(chosen)

    def _submitted_readers(self, sweep: ReaderSweep) -> SlurmBackend:
        backend = SlurmBackend(
            sweep.folder, self.jobs.requested, config_file=self.jobs.config_file, facts=self.facts
        )
        folders = {Path(cell.config.data.folder) for cell in sweep.cells}
        backend._sweep_jobs.needed = [entry for entry in self._sweep_jobs.needed if entry.folder in folders]
        backend.submit(sweep.cells, sweep.lock)
        return backend

    def states(self) -> dict[str, State]:
        """The status of the cells. While SLURM does not answer, the last known one, marked as such."""
        states = {name: state for backend in self._of_readers for name, state in backend.states().items()}
        states |= self._states.poll()
        if self.held:
            try:
                self._sweep_jobs.submit_held()
            except SbatchRefusal:
                raise
            except LaunchError:  # the controller is away for a while
                return states
        return states

    def is_closing(self) -> bool:
        """Whether the job that writes the table is waiting or running, or that of the readers' table."""
        if any(backend.is_closing() for backend in self._of_readers):
            return True
        register = Register(self.sweep)
        try:
            queue = queued(comment=register.tag)
        except LaunchError:
            return True
        return any(f"{entry.job}_0" in queue for entry in register.in_stages(["compare"]))

    def interrupt(self, again: bool) -> str:
        """What to tell the user after Ctrl-C; the jobs continue."""
        waiting = (
            f"{len(self.held)} wait for room in the queue, and the same command submits them; "
            if self.held
            else ""
        )
        return f"{waiting}{reattach_hint(self.sweep)}"


def reattach_hint(sweep: Path) -> str:
    """How to return to a sweep whose jobs continue without a launcher."""
    runs = "" if sweep.parent == Path("runs").absolute() else f" --runs {shlex.quote(str(sweep.parent))}"
    call = f"{program('sweep')} {{}} {shlex.quote(sweep.name)}{runs}"
    return (
        f"the jobs continue without this launcher: '{call.format('status')}' shows them, '{call.format('cancel')}'"
        " ends them, and the command that started them waits for them again"
    )
