"""Requested resources as submitit's parameters of a job."""

from __future__ import annotations

import pytest

from data_prep.errors import LaunchError
from launch.clusters.resources import Resources
from launch.clusters.slurm.job_parameters import job_parameters


def test_resources_become_submitits_parameters():
    requested = Resources(
        partition="gpu",
        account="me",
        constraint="a100|h100",
        nodes=2,
        gpus_per_node=4,
        cpus_per_task=8,
        memory_gb=1.5,
        hours=2.0,
        signal_delay_s=120,
        sbatch={"exclusive": "true", "reservation": "course 1"},
    )
    assert job_parameters(requested, 4) == {
        "partition": "gpu",
        "account": "me",
        "constraint": "a100|h100",
        "nodes": 2,
        "ntasks_per_node": 2,
        "gpus_per_node": 2,  # one per rank, of the four allowed
        "cpus_per_task": 8,
        "mem": "1536M",
        "time": 120,
        "signal_delay_s": 120,
        "additional_parameters": {"exclusive": True, "reservation": "course 1"},
    }


@pytest.mark.parametrize(
    ("field", "of_two_ranks"),
    [
        (4, 2),
        ("4", 2),
        ("a100:4", "a100:2"),
        ("a100:1", "a100:1"),
        ("a100", "a100:2"),
        ("1g.5gb:2", "1g.5gb:2"),  # a part of a GPU
        (0, None),
        ("a100:0", None),
    ],
)
def test_gpus_may_have_a_type(field, of_two_ranks):
    requested = Resources(gpus_per_node=field)
    assert job_parameters(requested, 2).get("gpus_per_node") == of_two_ranks
    assert Resources(**requested.given()) == requested


def test_all_of_a_nodes_memory_can_be_requested_but_small_jobs_do_not_take_it():
    requested = Resources(memory_gb=0.0)
    assert job_parameters(requested, 1)["mem"] == "0"
    assert "mem" not in job_parameters(requested.of_small_jobs(), 1)
    assert job_parameters(Resources(memory_gb=2.0).of_small_jobs(), 1)["mem"] == "2048M"


def test_unset_resources_are_left_to_slurm():
    assert job_parameters(Resources(), 1) == {
        "nodes": 1,
        "ntasks_per_node": 1,
        "time": 1440,
        "signal_delay_s": 90,
    }


def test_ranks_that_do_not_divide_are_refused():
    with pytest.raises(LaunchError, match="3 ranks cannot be spread evenly over 2 nodes"):
        job_parameters(Resources(nodes=2), 3)
