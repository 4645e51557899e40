from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from launch.clusters.slurm.arrays import Array
from launch.clusters.slurm.pending_work import PendingWork, pending_work
from launch.clusters.slurm.register import Register
from launch.clusters.slurm.stages import planned
from pipeline.cell import Cell
from pipeline.measures.settings import MeasuresConfig
from tests.done_cells import make_done
from tests.launch.clusters.slurm.plans import SWEEP, cells, entered, in_queue, limits, prepared_by


def shape(arrays: list[Array]) -> list[tuple[str, int, list[str]]]:
    """Stage, number of tasks, and what each array waits for: ``aftercorr 0`` is the first array of the list."""
    number = {id(one): str(index) for index, one in enumerate(arrays)}
    return [
        (
            one.stage,
            len(one.units),
            [
                f"{entry.kind} {entry.what if isinstance(entry.what, str) else number[id(entry.what)]}"
                for entry in one.dependencies
            ],
        )
        for one in arrays
    ]


def test_stages_are_chained() -> None:
    allowed = limits()
    arrays = planned(PendingWork(train=cells(3)), [prepared_by(5, allowed)], allowed, SWEEP, ["x"])
    assert shape(arrays) == [
        ("prepare", 5, []),
        ("merge", 1, ["afterok 0"]),
        ("train", 3, ["afterok 1"]),
        ("evaluate", 3, ["aftercorr 2"]),
        ("compare", 1, ["afterany 3"]),
    ]
    assert [unit.name for unit in arrays[2].units.values()] == [
        unit.name for unit in arrays[3].units.values()
    ]


def test_arrays_are_split_at_the_clusters_limit() -> None:
    allowed = limits(max_array=4)
    arrays = planned(PendingWork(train=cells(6)), [prepared_by(9, allowed)], allowed, SWEEP, ["x"])
    assert shape(arrays) == [
        ("prepare", 4, []),
        ("prepare", 4, []),
        ("prepare", 1, []),
        ("merge", 1, ["afterok 0", "afterok 1", "afterok 2"]),
        ("train", 4, ["afterok 3"]),
        ("evaluate", 4, ["aftercorr 4"]),
        ("train", 2, ["afterok 3"]),
        ("evaluate", 2, ["aftercorr 6"]),
        ("compare", 1, ["afterany 5", "afterany 7"]),
    ]
    assert all(max(one.units) < 4 for one in arrays)


def test_trained_cells_are_only_measured_and_other_rank_counts_get_their_own_array() -> None:
    now = PendingWork(train=[*cells(2), *cells(1, ranks=2, first_seed=7)], measure=cells(1, first_seed=9))
    arrays = planned(now, [], limits(), SWEEP, ["x"])
    assert shape(arrays) == [
        ("train", 2, []),
        ("evaluate", 2, ["aftercorr 0"]),
        ("train", 1, []),
        ("evaluate", 1, ["aftercorr 2"]),
        ("evaluate", 1, []),
        ("compare", 1, ["afterany 1", "afterany 3", "afterany 4"]),
    ]
    assert [one.parameters["ntasks_per_node"] for one in arrays[:4]] == [1, 1, 2, 1]


def test_measuring_waits_for_the_readers_that_it_rests_on() -> None:
    judged, plain, trained = cells(3)
    now = PendingWork(
        train=[judged, plain],
        measure=[trained],
        readers={judged.name: ("41",), trained.name: ("41", "42")},
    )
    assert shape(planned(now, [], limits(), SWEEP, ["x"])) == [
        ("train", 1, []),
        ("evaluate", 1, ["aftercorr 0"]),
        ("train", 1, []),
        ("evaluate", 1, ["aftercorr 2", "afterany 41"]),
        ("evaluate", 1, ["afterany 41", "afterany 42"]),
        ("compare", 1, ["afterany 1", "afterany 3", "afterany 4"]),
    ]


def test_nothing_to_do_gives_no_jobs() -> None:
    assert planned(PendingWork(), [], limits(), SWEEP, ["x"]) == []


def test_with_max_parallel_training_waits_for_the_data_sets_and_divides_the_number() -> None:
    allowed = limits(max_array=4, max_parallel=5)
    arrays = planned(PendingWork(train=cells(6)), [prepared_by(9, allowed)], allowed, SWEEP, ["x"])
    assert [one.at_once for one in arrays] == [5, 5, 5, None, 2, 1, 2, 2, None]
    assert shape(arrays)[1][2] == ["afterok 0"]
    assert shape(arrays)[4][2] == ["afterok 3", "afterany 3"]
    assert shape(arrays)[7][2] == ["aftercorr 6", "afterany 6"]


@pytest.fixture
def three(tmp_path: Path) -> list[Cell]:
    return cells(3, tmp_path)


def test_cells_in_the_queue_are_left_alone_and_the_others_are_found(
    tmp_path: Path, three: list[Cell]
) -> None:
    register, names = Register(tmp_path), [cell.name for cell in three]
    train, measure = entered(register, "train", names, "10"), entered(register, "evaluate", names, "11")
    queue = in_queue(train, "10") | in_queue(measure, "11", reason="Dependency")
    now = pending_work(three, register, queue)
    assert (now.train, now.measure, now.measured_by) == ([], [], {"11"})
    gone = {job: entry for job, entry in queue.items() if not job.endswith("_1")}
    now = pending_work(three, register, gone)
    assert now.train == [three[1]]
    assert now.running == {"10": 2, "11": 2}


def test_the_table_waits_for_cells_of_another_launch_too(tmp_path: Path, three: list[Cell]) -> None:
    register = Register(tmp_path)
    *others, failed = three
    train = entered(register, "train", [cell.name for cell in others], "10")
    measure = entered(register, "evaluate", [cell.name for cell in others], "11")
    queue = in_queue(train, "10") | in_queue(measure, "11", reason="Dependency")
    arrays = planned(pending_work([failed], register, queue), [], limits(), tmp_path, ["x"])
    assert shape(arrays)[0] == ("train", 1, [])
    assert shape(arrays)[2] == ("compare", 1, ["afterany 1", "afterany 11"])


def test_a_launcher_killed_before_the_second_array_has_its_cells_measured_after_the_right_tasks(
    tmp_path: Path, three: list[Cell]
) -> None:
    register = Register(tmp_path)
    train = entered(register, "train", [cell.name for cell in three], "10")
    queue = in_queue(train, "10")
    del queue["10_0"]
    three[0].folder.mkdir()
    make_done(three[0])
    now = pending_work(three, register, queue)
    assert now.measure_after == {"10": {1: [three[1]], 2: [three[2]]}}
    (measure, compare) = planned(now, [], limits(), tmp_path, ["x"])
    assert sorted(measure.units) == [1, 2]
    assert shape([measure])[0][2] == ["aftercorr 10"]
    assert compare.stage == "compare"


def test_a_job_that_waits_for_failed_training_is_hopeless_and_the_cell_is_retrained(
    tmp_path: Path, three: list[Cell]
) -> None:
    register, names = Register(tmp_path), [cell.name for cell in three]
    entered(register, "train", names, "10")
    measure = entered(register, "evaluate", names, "11")
    now = pending_work(three, register, in_queue(measure, "11", reason="DependencyNeverSatisfied"))
    assert now.train == three
    assert now.hopeless == ["11_0", "11_1", "11_2"]


def trained(cell: Cell) -> Cell:
    cell.write()
    cell.mark_trained()
    return cell


def with_measures(cell: Cell, take: tuple[str, ...], split: str = "test") -> Cell:
    return replace(cell, config=replace(cell.config, measures=MeasuresConfig(take=take, split=split)))


def test_cells_are_measured_in_arrays_of_those_with_the_same_measures(
    tmp_path: Path,
) -> None:
    three = [with_measures(cell, ("likelihood",)) for cell in cells(2, tmp_path)]
    three += [with_measures(cell, ("likelihood",), "valid") for cell in cells(1, tmp_path, first_seed=2)]
    now = pending_work([trained(cell) for cell in three], Register(tmp_path), {})
    *measuring, _ = planned(now, [], limits(), tmp_path, ["x"])
    assert [len(array.units) for array in measuring] == [2, 1]
    assert [array.measures for array in measuring] == [three[0].config.measures, three[2].config.measures]
    assert measuring[1].units[0].arguments == ("evaluate", three[2].config_file, ("likelihood",), "valid")
    training = planned(PendingWork(train=three), [], limits(), tmp_path, ["x"])
    assert [(array.stage, len(array.units)) for array in training[:4]] == [
        ("train", 2),
        ("evaluate", 2),
        ("train", 1),
        ("evaluate", 1),
    ]


def test_a_queued_job_that_measures_less_is_waited_for_and_one_that_measures_enough_is_enough(
    tmp_path: Path,
) -> None:
    (cell,) = cells(1, tmp_path)
    trained(cell)
    register = Register(tmp_path)
    measure = entered(register, "evaluate", [cell.name], "11", take=["classification"])
    queue = in_queue(measure, "11", state="RUNNING")
    assert pending_work([with_measures(cell, ("classification",))], register, queue).measure == []
    more = with_measures(cell, ("classification", "likelihood"))
    now = pending_work([more], register, queue)
    assert (now.measure, now.measured_before, now.hopeless) == ([more], {cell.name: "11"}, [])
    (array, _) = planned(now, [], limits(), tmp_path, ["x"])
    assert shape([array])[0] == ("evaluate", 1, ["afterany 11"])


def test_more_measures_while_a_cell_is_in_training_replace_the_job_that_was_to_measure_it(
    tmp_path: Path,
) -> None:
    (cell,) = cells(1, tmp_path)
    register = Register(tmp_path)
    train = entered(register, "train", [cell.name], "10")
    measure = entered(register, "evaluate", [cell.name], "11", take=["classification"])
    queue = in_queue(train, "10", state="RUNNING") | in_queue(measure, "11", reason="Dependency")
    more = with_measures(cell, ("classification", "likelihood"))
    now = pending_work([more], register, queue)
    assert (now.train, now.hopeless, now.measure_after) == ([], ["11_0"], {"10": {0: [more]}})
