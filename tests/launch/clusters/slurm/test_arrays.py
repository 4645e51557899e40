from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from launch.clusters.slurm.arrays import Array, Dependency, dependency, limit_concurrency, ranges, split
from tests.launch.clusters.slurm.plans import array

chains = st.lists(
    st.lists(st.integers(1, 40), min_size=1, max_size=2).map(lambda sizes: (sizes[0], len(sizes))),
    min_size=1,
    max_size=12,
)


@given(chains, st.integers(1, 30))
def test_the_arrays_together_never_run_more_tasks_than_allowed(
    shapes: list[tuple[int, int]], most: int
) -> None:
    plan = [[array(stage, size) for stage in ("train", "evaluate")[:stages]] for size, stages in shapes]
    limit_concurrency(most, plan)
    for moment in moments([one for chain in plan for one in chain]):
        assert sum(min(len(one.units), one.at_once or len(one.units)) for one in moment) <= most


@given(chains, st.integers(1, 30))
def test_every_array_gets_to_run(shapes: list[tuple[int, int]], most: int) -> None:
    plan = [[array(stage, size) for stage in ("train", "evaluate")[:stages]] for size, stages in shapes]
    limit_concurrency(most, plan)
    arrays = [one for chain in plan for one in chain]
    assert all((one.at_once or 1) >= 1 for one in arrays)
    ended: set[int] = set()
    while len(ended) < len(arrays):  # some array can start in each round: there is no cycle
        ready = [one for one in arrays if id(one) not in ended and fronts(one) <= ended]
        assert ready
        ended |= {id(one) for one in ready}


def fronts(one: Array) -> set[int]:
    return {id(entry.what) for entry in one.dependencies if entry.kind == "afterany"}


def moments(arrays: list[Array]) -> Iterator[list[Array]]:
    """Sets of arrays that may run at the same time: none depends on another, directly or indirectly."""
    dependencies: dict[int, set[int]] = {}
    by_id = {id(one): one for one in arrays}

    def all_fronts(one: Array) -> set[int]:
        if id(one) not in dependencies:
            direct = fronts(one)
            dependencies[id(one)] = direct.union(*(all_fronts(by_id[front]) for front in direct))
        return dependencies[id(one)]

    for anchor in arrays:
        moment = [anchor]
        for other in sorted(arrays, key=lambda one: -(one.at_once or len(one.units))):
            if other is not anchor and all(
                id(other) not in all_fronts(one) and id(one) not in all_fronts(other) for one in moment
            ):
                moment.append(other)
        yield moment


def test_units_are_split_in_order_and_each_array_counts_from_0() -> None:
    units = list(array("train", 7).units.values())
    parts = split(units, 3)
    assert [sorted(part) for part in parts] == [[0, 1, 2], [0, 1, 2], [0]]
    assert [unit for part in parts for unit in part.values()] == units


@given(st.sets(st.integers(0, 60), min_size=1))
def test_array_indices_are_written_as_sbatch_reads_them(indices: set[int]) -> None:
    read = set()
    for part in ranges(indices).split(","):
        first, _, last = part.partition("-")
        read |= set(range(int(first), int(last or first) + 1))
    assert read == indices


def test_what_an_array_waits_for_is_one_option() -> None:
    first, second = array("train", 1), array("train", 1)
    dependencies = [
        Dependency("aftercorr", first),
        Dependency("afterany", second),
        Dependency("afterany", "12"),
    ]
    names = {id(first): "10", id(second): "11"}
    text = dependency(dependencies, lambda what: what if isinstance(what, str) else names[id(what)])
    assert text == "aftercorr:10,afterany:11:12"
    assert dependency([], lambda what: pytest.fail("nothing to name")) is None
