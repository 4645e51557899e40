from __future__ import annotations

from pathlib import Path

import pytest

from tests.lanes import in_slurm_lane

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("file", "test", "in_the_lane"),
    [
        ("tests/faults/test_nodes.py", "test_nodes_killed_one_after_the_other", True),  # as all of its file
        ("tests/launch/clusters/slurm/test_facts.py", "test_the_real_cluster_is_read", True),
        ("tests/launch/clusters/slurm/test_facts.py", "test_gpus_of_a_node", False),
        ("tests/test_readme.py", "test_on_a_cluster", True),
        ("tests/test_readme.py", "test_step_by_step", False),
        ("tests/jobs/test_epilogue.py", "test_a_crashed_cell_goes_back_into_the_queue", False),  # a fixture named slurm
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
