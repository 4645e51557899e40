from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.lanes import Lanes, in_slurm_lane

ROOT = Path(__file__).parents[1]


class Worker:
    """Stands for a process of pytest-xdist: it keeps what it was given, and does not run it."""

    def __init__(self, number: int) -> None:
        self.gateway = SimpleNamespace(id=f"gw{number}")
        self.given: list[int] = []
        self.shutting_down = False

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def handed_out(root: Path, tests: list[str], workers: int) -> list[list[str]]:
    """The tests that each worker gets when all are as quick as each other, in their order."""
    config: Any = SimpleNamespace(
        option=SimpleNamespace(), rootpath=root, getvalue=lambda name: ["popen"] * workers
    )
    lanes = Lanes(config)
    staff = [Worker(number) for number in range(workers)]
    for worker in staff:
        lanes.add_node(worker)
        lanes.add_node_collection(worker, tests)
    lanes.schedule()
    done = 0
    while any(len(worker.given) > done for worker in staff):
        for worker in staff:
            if len(worker.given) > done:
                lanes.mark_test_complete(worker, worker.given[done])
        done += 1
    assert all(worker.shutting_down for worker in staff)
    assert lanes.tests_finished
    return [[tests[index].partition("::")[2] for index in worker.given] for worker in staff]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "test_x.py").write_text(
        "@pytest.mark.slurm\ndef test_there(number): ...\n@pytest.mark.slow(60)\ndef test_slow(number): ...\n"
    )
    (tmp_path / "test_y.py").touch()
    return tmp_path


def test_three_of_four_workers_take_what_needs_a_slurm_and_then_help_with_the_rest(root: Path):
    with_slurm = [f"test_x.py::test_there[{number}]" for number in range(6)]
    others = [f"test_x.py::test_slow[{number}]" for number in range(30)]
    given = handed_out(root, with_slurm + others, workers=4)
    assert sorted(test for one in given for test in one) == sorted(
        test.partition("::")[2] for test in with_slurm + others
    )
    there = [[test for test in one if "there" in test] for one in given]
    assert [len(one) for one in there] == [2, 2, 2, 0]
    assert [one[:2] for one in given[:3]] == there[:3]
    assert all(len(one) > 3 for one in given)


def test_a_worker_without_a_cluster_leaves_what_needs_one_to_the_other(root: Path):
    tests = [f"test_x.py::test_there[{number}]" for number in range(3)]
    assert [len(one) for one in handed_out(root, [*tests, "test_x.py::test_a"], workers=2)] == [3, 1]


def test_slow_tests_are_handed_out_one_by_one_and_the_quick_ones_of_a_file_together(root: Path):
    slow = [f"test_x.py::test_slow[{number}]" for number in range(4)]
    quick = [f"test_y.py::test_{number}" for number in range(20)]
    one, other = handed_out(root, slow + quick, workers=2)
    assert [len([test for test in given if "slow" in test]) for given in (one, other)] == [2, 2]
    assert sorted(len(given) for given in (one, other)) == [2, 22]


def test_one_worker_takes_all(root: Path):
    assert handed_out(root, ["test_x.py::test_there[0]", "test_x.py::test_a"], workers=1) == [
        ["test_there[0]", "test_a"]
    ]


@pytest.mark.parametrize(
    ("file", "test", "in_the_lane"),
    [
        ("tests/faults/test_nodes.py", "test_nodes_killed_one_after_the_other", True),  # as all of its file
        ("tests/launch/clusters/slurm/test_facts.py", "test_the_real_cluster_is_read", True),
        ("tests/launch/clusters/slurm/test_facts.py", "test_gpus_of_a_node", False),
        ("tests/test_readme.py", "test_on_a_cluster", True),
        ("tests/test_readme.py", "test_step_by_step", False),
        ("tests/jobs/test_epilogue.py", "test_a_crashed_cell_is_requeued", False),  # a fixture named slurm
    ],
)  # fmt: skip
def test_what_needs_a_slurm_is_known_from_its_file(file: str, test: str, in_the_lane: bool):
    assert f"def {test}" in (ROOT / file).read_text()
    assert in_slurm_lane(ROOT / file, test) == in_the_lane


def test_a_mark_on_the_function_or_a_fixture_among_its_arguments_is_enough(tmp_path: Path):
    file = tmp_path / "test_x.py"
    file.write_text(
        "@pytest.mark.slow\n@pytest.mark.slurm\ndef test_marked(): ...\n"
        "def test_takes_it(tmp_path, slurm_cluster: Cluster): ...\n"
        "def test_has_nothing_of_it(): 'mark.slurm'\n"
    )
    assert [in_slurm_lane(file, f"test_{name}") for name in ("marked", "takes_it", "has_nothing_of_it")] == [
        True,
        True,
        False,
    ]
