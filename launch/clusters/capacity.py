"""How many ranks this machine takes at once, and on which GPUs."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from data_prep.counted import counted
from data_prep.errors import LaunchError
from jobs.mps import mps_sentence
from jobs.pack import CELLS_PER_GPU
from launch.clusters.packing import cells_per_gpu, refuse_to_pack_ranks
from launch.clusters.resources import Resources
from launch.clusters.this_machine import gpus_here, processors
from pipeline.cell import Cell


@dataclass(kw_only=True)
class Taken:
    """What a running unit takes."""

    ranks: int
    gpus: list[str]
    """GPU names as in ``gpus_here``, one per rank; empty on the CPU."""


class Capacity:
    """The GPUs and CPUs of this machine, as far as the resources of a launch let cells use them."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    @cached_property
    def gpus(self) -> list[str]:
        """The GPUs to use."""
        return gpus_here()[: self.resources.gpus.count]

    def takes_gpus(self, ranks: int, *, on_gpus: bool) -> bool:
        """Whether ``ranks`` ranks get a GPU each, if they want one: NCCL does not let ranks share a GPU."""
        return on_gpus and ranks <= len(self.gpus)

    def on_gpus(self, cell: Cell) -> bool:
        """Whether the next unit of a cell gets a GPU for each of its ranks."""
        return self.takes_gpus(ranks_of(cell), on_gpus=cell.config.training.device != "cpu")

    def has_room(self, ranks: int, on_gpus: bool, running: Sequence[Taken]) -> bool:
        """Whether a unit of ``ranks`` ranks can start next to those that run."""
        most, sharing = self.resources.max_parallel, self.resources.cells_per_gpu
        if most is not None and (len(running) >= most or sharing is None):
            return len(running) < most
        taken = sum(entry.ranks for entry in running if bool(entry.gpus) == on_gpus)
        if on_gpus:
            return not taken or taken + ranks <= len(self.gpus) * cells_per_gpu(self.resources)
        return not taken or taken + ranks <= (
            processors() if sharing is None else cells_per_gpu(self.resources)
        )

    def least_used_gpus(self, count: int, running: Sequence[Taken]) -> list[str]:
        """So many GPUs, those first that the fewest ranks use."""
        used = Counter(gpu for entry in running for gpu in entry.gpus)
        return sorted(self.gpus, key=lambda gpu: used[gpu])[:count]

    def variables(self, on_gpus: bool) -> dict[str, str]:
        """Environment variables of a job, unless they are set: its share of the CPUs, and of a GPU."""
        sharing = cells_per_gpu(self.resources)
        alone = self.resources.cells_per_gpu is None or on_gpus
        threads = 1 if alone else max(1, processors() // sharing)
        return {
            "OMP_NUM_THREADS": str(threads),
            "OMP_WAIT_POLICY": "passive",
            CELLS_PER_GPU: str(sharing),
        }

    def place(self, cells: Sequence[Cell]) -> str:
        """Where these cells share a GPU or the CPUs: what was tried out there holds there only."""
        what = "a GPU" if any(map(self.on_gpus, cells)) else counted(processors(), "CPU")
        return f"{what} of {socket.gethostname()}"

    def described(self, cells: Sequence[Cell]) -> str:
        """How these cells would run, in one line; LaunchError if they cannot share a GPU."""
        places = [
            counted(count, what)
            for what, count, wanted in (
                ("GPU", len(self.gpus), any(map(self.on_gpus, cells))),
                ("CPU", processors(), not all(map(self.on_gpus, cells))),
            )
            if wanted
        ]
        refuse_to_pack_ranks(cells, self.resources)
        most, sharing = self.resources.max_parallel, self.resources.cells_per_gpu
        at_once = "" if most is None else f", at most {counted(most, 'cell')} at once"
        if sharing is None:
            return f"on this machine, a rank on each of {' and '.join(places)}{at_once}"
        where = "each GPU" if any(map(self.on_gpus, cells)) else "its CPUs"
        return f"on this machine ({' and '.join(places)}), {_cells(sharing)} at once on {where}{at_once}"

    def check(self, cells: Sequence[Cell]) -> None:
        """Warn about cells that have more ranks than there are GPUs, and fall back to the CPU.

        Raises:
            LaunchError: there are not the GPUs that were requested, or that a cell needs.
        """
        refuse_to_pack_ranks(cells, self.resources)
        if self.resources.gpus.kind is not None:
            raise LaunchError(
                f"GPUs of type {self.resources.gpus.kind} can be requested from SLURM only: on this machine, give a"
                " number (--gpus-per-node) or set CUDA_VISIBLE_DEVICES"
            )
        wanted, found = self.resources.gpus.count or 0, len(gpus_here())
        if wanted > found:
            raise LaunchError(
                f"{counted(wanted, 'GPU was', 'GPUs were')} requested (--gpus-per-node), but this machine has {found}"
            )
        used = len(self.gpus)
        if used and cells_per_gpu(self.resources) > 1:
            print(f"{cells_per_gpu(self.resources)} cells on each GPU; {mps_sentence()}")
        there = counted(used, "GPU")
        too_large = [
            cell for cell in cells if cell.config.training.device != "cpu" and not self.on_gpus(cell)
        ]
        for cell in too_large:
            if cell.config.training.device == "cuda":
                raise LaunchError(
                    f"{cell.name} needs a GPU for each of its ranks ({ranks_of(cell)}), but there are {there}:"
                    " use fewer ranks (--ranks), or device auto, which falls back to the CPU"
                )
        if used and too_large:
            ranks = max(map(ranks_of, too_large))
            print(
                f"runs of {ranks} ranks fall back to the CPU, since there are {there}: --ranks {used} would use GPUs"
            )


def _cells(number: int | Literal["auto"]) -> str:
    return "as many cells as are fastest" if number == "auto" else counted(number, "cell")


def ranks_of(cell: Cell) -> int:
    """Processes of a cell's next unit: measuring has one."""
    return 1 if cell.is_trained() else cell.config.training.ranks
