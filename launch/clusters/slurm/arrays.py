"""Job arrays before they are submitted: their tasks, their dependencies, and how many tasks run at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, Literal, TypeVar

from data_prep.counted import counted
from pipeline.measures.settings import MeasuresConfig

Kind = Literal["afterok", "afterany", "aftercorr"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Unit:
    """One task of an array: a Python function that a node calls on each rank. A pack is one for several cells."""

    name: str
    """Name of the cell, the shard or the data set."""
    unit: str
    """Its kind for ``jobs.epilogue``: ``train``, ``evaluate``, ``prepare``, ..."""
    config: str | None
    """The cell's ``config.json`` or the preparation's plan, absolute."""
    function: Callable[..., Any]
    arguments: tuple[Any, ...]
    measures: MeasuresConfig | None = None
    """What a unit measures that measures."""
    members: tuple[Unit, ...] = ()
    """Of a pack, the units of its cells, which share the task."""

    @property
    def of_cells(self) -> tuple[Unit, ...]:
        """Its members, or itself."""
        return self.members or (self,)


@dataclass(eq=False, kw_only=True, slots=True)
class Array:
    """One call of sbatch."""

    stage: str
    units: dict[int, Unit]
    """By array index."""
    parameters: dict[str, Any]
    """submitit's, as ``Resources.parameters`` gives them."""
    dependencies: list[Dependency] = field(default_factory=list)
    at_once: int | None = None
    """Maximum number of tasks at once; None: as many as the cluster allows."""
    job: str | None = None
    """SLURM's id, once it is submitted."""
    not_known: str | None = None
    """In a dry run: why the number of tasks is not known yet; ``units`` then holds one of them."""

    @property
    def measures(self) -> MeasuresConfig | None:
        """What its units measure, the same for all of them."""
        return next(iter(self.units.values())).measures

    @property
    def indices(self) -> str:
        """Indices of its tasks in sbatch's notation."""
        return ranges(self.units) if self.not_known is None else "0-LAST_SHARD"

    @property
    def size(self) -> str:
        """The number of tasks as text, and of cells if there are more."""
        if self.not_known is not None:
            return f"number of tasks unknown: {self.not_known}"
        cells = sum(len(unit.of_cells) for unit in self.units.values())
        return counted(len(self.units), "task") + (
            f", {counted(cells, 'cell')}" if cells > len(self.units) else ""
        )


@dataclass(frozen=True, slots=True)
class Dependency:
    """What an array waits for: an array of the same plan, or a job that SLURM knows."""

    kind: Kind
    what: Array | str


Chain = list[Array]
"""Arrays over the same cells that follow each other task by task: training, then measuring."""


def split(units: Sequence[T], most: int) -> list[dict[int, T]]:
    """The units (or their cells) in arrays of at most ``most`` tasks, each with indices from 0."""
    return [dict(enumerate(units[start : start + most])) for start in range(0, len(units), most)]


def limit_concurrency(most: int, chains: Sequence[Chain]) -> None:
    """Limit the tasks of all chains that run at the same time to ``most``; the arrays are changed in place.

    SLURM limits the tasks of one array only, so the number is divided. There are as many lanes as chains, but not
    more than ``most``; each gets a share of ``most`` by the number of its tasks, and at least 1. A lane's chains follow
    one another (``afterany``). Within a chain of training and measuring, a share of 3 or more gives one to measuring; the
    others train. With a smaller share, measuring waits until all of the chain's training has ended.
    """
    lanes = [list(chains[lane :: min(most, len(chains))]) for lane in range(min(most, len(chains)))]
    sizes = [sum(len(array.units) for chain in lane for array in chain) for lane in lanes]
    for lane, share in zip(lanes, _shares(most, sizes), strict=True):
        for before, after in pairwise(lane):
            after[0].dependencies += [Dependency("afterany", array) for array in before]
        for chain in lane:
            first, *rest = chain
            first.at_once = share - len(rest) if share >= 3 else share
            for array in rest:
                array.at_once = 1 if share >= 3 else share
                if share < 3:
                    array.dependencies.append(Dependency("afterany", first))


def _shares(most: int, sizes: Sequence[int]) -> list[int]:
    """Integers of at least 1 that add up to ``most``, roughly in proportion to the sizes."""
    free, total = most - len(sizes), sum(sizes)
    exact = [free * size / total for size in sizes]
    shares = [int(part) for part in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda lane: shares[lane] - exact[lane])
    for lane in by_remainder[: free - sum(shares)]:
        shares[lane] += 1
    return [1 + share for share in shares]


def dependency(dependencies: Iterable[Dependency], named: Callable[[Array | str], str]) -> str | None:
    """The value of sbatch's ``--dependency``: all must hold; None if there is none."""
    kinds: dict[str, list[str]] = {}
    for entry in dependencies:
        jobs = kinds.setdefault(entry.kind, [])
        job = named(entry.what)
        if job not in jobs:
            jobs.append(job)
    return ",".join(f"{kind}:{':'.join(jobs)}" for kind, jobs in kinds.items()) or None


def ranges(indices: Iterable[int]) -> str:
    """Array indices in sbatch's notation: ``0-3,7``."""
    runs: list[list[int]] = []
    for index in sorted(indices):
        if runs and index == runs[-1][1] + 1:
            runs[-1][1] = index
        else:
            runs.append([index, index])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)
