"""The backend that submits a sweep to SLURM: one sbatch per array, one squeue per poll."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from data_prep.errors import LaunchError
from data_prep.lock import exclusive_lock
from jobs.trial import Trials
from launch.clusters.backend import State
from launch.clusters.packing import refuse_to_pack_ranks, without_auto
from launch.clusters.resources import Resources
from launch.clusters.slurm import data as preparing
from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.cell_states import CellStates
from launch.clusters.slurm.data import Preparation
from launch.clusters.slurm.facts import ClusterFacts, read_facts
from launch.clusters.slurm.job_resources import JobResources, want_gpus
from launch.clusters.slurm.job_state import is_held
from launch.clusters.slurm.pending_work import PendingWork, pending_work
from launch.clusters.slurm.preflight import preflight
from launch.clusters.slurm.queue import QueuedJob, cancel, queued
from launch.clusters.slurm.queued_readers import training_readers
from launch.clusters.slurm.register import PREFIX, Held, Register
from launch.clusters.slurm.sbatch import PATIENCE_S, SbatchRefusal
from launch.clusters.slurm.snapshot import CODE, code_content, snapshot_folder, take_snapshot
from launch.clusters.slurm.stages import planned
from launch.clusters.slurm.submission import Submitter
from launch.clusters.slurm.trial_job import run_trial_job
from launch.clusters.slurm.within_limits import submit_within, worth_another_try
from launch.plan import NeededData
from launch.readers import ReaderSweep, untrained_readers
from pipeline.cell import Cell
from pipeline.cells.lease import forget
from pipeline.measures.plan import is_done

SECONDS_BETWEEN_TRIES = 60.0
"""How long submission waits after sbatch has refused more jobs, if the limit itself is not known."""


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
        self._needed: Sequence[NeededData] = []
        self._of_readers: list[SlurmBackend] = []
        self._states = CellStates(sweep, [])
        self._cells: list[Cell] = []
        self._train = True
        self.held: dict[str, Held] = {}
        """Cells and shards whose jobs wait for room in the queue, by name."""
        self._next_try = 0.0

    # submitting

    def describe(
        self, cells: Sequence[Cell], data: Sequence[NeededData], readers: Sequence[Cell] = ()
    ) -> str:
        """The arrays of a sweep that is not submitted yet, with the exact text for sbatch; those of its readers first."""
        refuse_to_pack_ranks(cells, self.jobs.as_given())
        folders = sorted({reader.folder.parent for reader in readers})
        before = [self._describe_readers(folder, readers) for folder in folders]
        now = PendingWork(
            train=[cell for cell in cells if not is_done(cell) and not cell.is_trained()],
            measure=[cell for cell in cells if not is_done(cell) and cell.is_trained()],
            readers={cell.name: ("ID_OF_READERS",) for cell in cells if untrained_readers(cell)},
        )
        preparations = [
            self._preparation(entry, preparing.expected_shards(entry), {})
            for entry in data
            if not entry.is_ready()
        ]
        for entry in preparations:
            for array in entry.arrays[:-1]:
                array.not_known = preparing.why_not_counted(entry.data)
        names = [cell.name for cell in cells]
        arrays = planned(now, preparations, self.jobs.limits(), self.sweep, names)
        submitter = self._submitter(snapshot_folder(self.sweep, code_content()), lock=None)
        texts = submitter.describe(arrays)
        still_open = [*now.train, *now.measure]
        chosen = self.jobs.of_the_largest(still_open)[1] if still_open else []
        described = (
            f"# array {number}: {array.stage}, {array.size}\n{text}\n"
            for number, (array, text) in enumerate(zip(arrays, texts, strict=True), start=1)
        )
        return "\n".join([*before, *chosen, *described])

    def _describe_readers(self, folder: Path, readers: Sequence[Cell]) -> str:
        own = [reader for reader in readers if reader.folder.parent == folder]
        backend = SlurmBackend(folder, self.jobs.asked, config_file=self.jobs.config_file, facts=self.facts)
        return f"# label readers, in {folder}; the first array is ID_OF_READERS below\n{backend.describe(own, [])}"

    def check(
        self, cells: Sequence[Cell], data: Sequence[NeededData], tracking: str, *, thorough: bool
    ) -> None:
        """Print what was chosen; run the preflight checks unless jobs of this sweep are already in the queue."""
        still_open = [cell for cell in cells if not is_done(cell)]
        refuse_to_pack_ranks(still_open, self.jobs.as_given())
        if not still_open or self._own(Register(self.sweep), self._poll_patiently()):
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
        self._needed = data
        for entry in data:
            if entry.is_ready():
                continue
            with preparing.data_set_lock(entry, print):
                register, queue = Register(self.sweep), self._poll_patiently()
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
        if readers and not all(entry.is_ready() for entry in self._needed):
            self.submit([], lock)  # data are prepared by jobs of this sweep, which then knows why they failed
        self._of_readers = [self._submitted_readers(sweep) for sweep in readers]
        self._cells, self._train, self.held = list(cells), train, {}
        self._replace_auto(cells, lock)
        self._states = CellStates(self.sweep, cells)
        self._submit(cells, lock)
        if self.held:
            some = next(iter(self.held.values()))
            print(
                f"{len(self.held)} of {max(len(cells), len(self.held))} wait for room in the queue: {some.why}; they are"
                " submitted as room appears while this command runs, or by the same command later",
                flush=True,
            )

    def _replace_auto(self, cells: Sequence[Cell], lock: BinaryIO | None) -> None:
        """Replace ``cells_per_gpu auto`` by a number: that of an earlier launch, or of a job that tries it out now."""
        given = self.jobs.as_given()
        if given.cells_per_gpu != "auto" or not cells:
            return
        resources, _ = self.jobs.of(1, on_gpus=want_gpus(cells))
        what = "a GPU" if resources.gpus.count else f"{resources.cpus_per_task or 1} CPU(s)"
        place = f"{what} of partition {resources.partition}"

        def trials(counts: Sequence[int]) -> Trials | None:
            untrained = [cell for cell in cells if not cell.is_trained()]
            if not untrained:
                return None
            waiting = [entry for entry in self._needed if not entry.is_ready()]
            if waiting:
                raise LaunchError(
                    f"cells_per_gpu auto needs the prepared data, and {waiting[0].folder} is not ready yet: prepare it"
                    " first (python launch/prepare.py --help), or give a number"
                )
            submitter = self._submitter(take_snapshot(self.sweep), None if lock is None else lock.fileno())
            return run_trial_job(submitter, Register(self.sweep), untrained, resources.parameters(1), counts)

        chosen = without_auto(self.sweep, given, place, trials, len(cells)).cells_per_gpu
        self.jobs.set_cells_per_gpu(chosen)

    def _submitted_readers(self, sweep: ReaderSweep) -> SlurmBackend:
        backend = SlurmBackend(
            sweep.folder, self.jobs.asked, config_file=self.jobs.config_file, facts=self.facts
        )
        folders = {Path(cell.config.data.folder) for cell in sweep.cells}
        backend._needed = [entry for entry in self._needed if entry.folder in folders]
        backend.submit(sweep.cells, sweep.lock)
        return backend

    def submit_held(self) -> None:
        """Submit what waits for room in the queue, if there is enough of it by now."""
        register = Register(self.sweep)
        # Measuring that waits for room follows training that succeeded; after any other, the launcher reports its end.
        ready = [cell for cell in self._cells if cell.failed() is None and is_held(cell, register)]
        if self._cells and not ready:
            return
        limit = self.jobs.submit_limit()
        if limit is None and time.monotonic() < self._next_try:
            return
        if limit is not None and not worth_another_try(limit, len(self.held)):
            return
        with exclusive_lock(self.sweep / "launch.lock", lambda: None) as lock:
            self._submit(ready, lock)

    def _submit(self, cells: Sequence[Cell], lock: BinaryIO | None) -> None:
        register, names = Register(self.sweep), {cell.name for cell in cells}
        later = {name: held for name, held in self.held.items() if names and name not in names}
        submitter: Submitter | None = None
        merges: dict[int, NeededData] = {}

        def plan() -> list[Array]:
            queue = self._poll_patiently()
            own = self._own(register, queue)
            register.recover(own.values())
            now = pending_work(cells, register, own)
            now.readers = training_readers(cells, queue)
            if not self._train:
                now.train.clear()
            for cell in [*now.train, *now.measure]:
                if cell.name not in now.measured_before:
                    forget(cell.folder)
            preparations = self._preparations(register, queue) if now.train or not self._cells else []
            merges.update({id(entry.ready_after): entry.data for entry in preparations})
            old = [job for entry in register.in_stages(["compare"]) if (job := f"{entry.job}_0") in own]
            compared = {cell.name for cell in self._cells} | _measured(register, now.measured_by)
            arrays = planned(now, preparations, self.jobs.limits(), self.sweep, compared)
            if old and [array.stage for array in arrays] == ["compare"]:
                return []
            if arrays:
                cancel([*now.hopeless, *old])
            return arrays

        def submit(array: Array) -> None:
            nonlocal submitter
            submitter = submitter or self._submitter(
                take_snapshot(self.sweep), lock=None if lock is None else lock.fileno()
            )
            submission = submitter.submit(array, register)
            if id(array) in merges:
                preparing.note_merge(merges[id(array)], submission)

        with ExitStack() as locks:
            for entry in self._needed:
                if not entry.is_ready():
                    locks.enter_context(preparing.data_set_lock(entry, print))
            self.held = later | submit_within(self.jobs.submit_limit, plan, submit)
            self._next_try = time.monotonic() + SECONDS_BETWEEN_TRIES
            register.hold((cell.name for cell in self._cells), self.held)

    def _preparations(self, register: Register, queue: Mapping[str, QueuedJob]) -> list[Preparation]:
        """How each data set that is not ready will be prepared."""
        found = []
        for entry in self._needed:
            if entry.is_ready():
                continue
            merge = preparing.merge_at_work(entry, register, queue)
            if merge is not None:
                found.append(Preparation(entry, (), merge))
                continue
            at_work = preparing.shards_at_work(entry, register, queue)
            found.append(self._preparation(entry, preparing.unfinished_shards(entry), at_work))
        return found

    def _preparation(
        self, data: NeededData, shards: preparing.Shards, at_work: Mapping[str, str]
    ) -> Preparation:
        limits = self.jobs.limits()
        return preparing.preparation(
            data, limits.small_job, limits.max_array, limits.max_parallel, shards, at_work
        )

    def _submitter(self, code: Path, lock: int | None) -> Submitter:
        return Submitter(
            sweep=self.sweep,
            job_name=f"traitvae-{self.sweep.name}",
            code=code,
            retries=self.jobs.retries(),
            lock=lock,
        )

    # monitoring

    def states(self) -> dict[str, State]:
        """The status of the cells. While SLURM does not answer, the last known one, marked as such."""
        states = {name: state for backend in self._of_readers for name, state in backend.states().items()}
        states |= self._states.poll()
        if self.held:
            try:
                self.submit_held()
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

    def _poll_patiently(self) -> dict[str, QueuedJob]:
        """The jobs of all sweeps; retries for a minute while the controller does not answer."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                return queued(comment=f"{PREFIX}/")
            except LaunchError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(3.0)

    @staticmethod
    def _own(register: Register, queue: Mapping[str, QueuedJob]) -> dict[str, QueuedJob]:
        return {job: entry for job, entry in queue.items() if entry.comment.startswith(f"{register.tag}/")}


def _measured(register: Register, arrays: set[str]) -> set[str]:
    """Names of the cells that these arrays measure."""
    found = [entry.units for entry in register.in_stages(["evaluate"]) if entry.job in arrays]
    return {name for units in found for name in units}


def reattach_hint(sweep: Path) -> str:
    """How to return to a sweep whose jobs continue without a launcher."""
    runs = "" if sweep.parent == Path("runs").absolute() else f" --runs {shlex.quote(str(sweep.parent))}"
    call = f"python launch/sweep.py {{}} {shlex.quote(sweep.name)}{runs}"
    return (
        f"the jobs continue without this launcher: '{call.format('status')}' shows them, '{call.format('cancel')}'"
        " ends them, and the command that started them waits for them again"
    )
