"""Resources of jobs: first the request, then the files, then what the cluster suggests, each reported."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import LaunchError
from launch.clusters.resources import Resources
from launch.clusters.slurm.facts import ClusterFacts, NodeKind, Partition, cluster_facts
from launch.clusters.slurm.job_parameters import job_parameters
from launch.clusters.slurm.site import choose, resolve, resolve_small
from launch.estimate import Allocation
from tests.launch.clusters.slurm.test_facts import CONFIG_24_11, PARTITIONS_24_11, SINFO_24_11

LARGE = cluster_facts(config=CONFIG_24_11, partitions=PARTITIONS_24_11, sinfo=SINFO_24_11)


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch, tmp_path):
    """No files and no variables of the user who runs the tests."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    for name in ("PARTITION", "ACCOUNT", "QOS", "CONSTRAINT"):
        monkeypatch.delenv(f"SBATCH_{name}", raising=False)


def test_the_command_line_overrides_the_file_and_the_file_the_users_own(tmp_path):
    (tmp_path / "config/traitvae").mkdir(parents=True)
    own, named = tmp_path / "config/traitvae/cluster.toml", tmp_path / "site.toml"
    own.write_text('partition = "own"\naccount = "own"\nqos = "own"\n[sbatch]\nnice = 5\nmail-type = "ALL"\n')
    named.write_text('partition = "named"\naccount = "named"\n[sbatch]\nmail-type = "END"\n')
    resources, sentences = resolve(Resources(partition="asked"), named, None, 1)
    assert (resources.partition, resources.account, resources.qos) == ("asked", "named", "own")
    assert resources.sbatch == {"mail-type": "END", "nice": "5"}
    assert sentences == [
        f"account named, sbatch mail-type END: from {named}",
        f"qos own, sbatch nice 5: from {own}",
    ]


def test_the_rest_has_built_in_defaults():
    resources, sentences = resolve(Resources(), None, None, 1)
    assert resources.given() == {
        "nodes": 1,
        "gpus_per_node": 0,
        "hours": 24.0,
        "signal_delay_s": 90,
        "retries": 2,
    }
    assert sentences == []


def test_sbatchs_own_variables_override_the_clusters_defaults(monkeypatch):
    monkeypatch.setenv("SBATCH_PARTITION", "gpu")
    monkeypatch.setenv("SBATCH_ACCOUNT", "vision")
    resources, sentences = resolve(Resources(account="mine"), None, LARGE, 4)
    assert (resources.partition, resources.account) == ("gpu", "mine")
    assert sentences[0] == "partition gpu: from sbatch's variables in the environment"


def test_choices_from_an_unknown_cluster_are_reported():
    resources, sentences = resolve(Resources(), None, LARGE, 2)
    assert resources == Resources(
        partition="cpu", nodes=1, gpus_per_node=0, cpus_per_task=16, hours=24.0, signal_delay_s=90, retries=2
    )
    assert sentences == [
        "partition cpu: the cluster's default",
        "time limit 24 h: partition cpu allows 168 h",
        "1 node: the fewest that hold 2 ranks evenly",
        "no GPUs: partition cpu has none",
        "16 CPUs per rank: its share of a node",
    ]


@pytest.mark.parametrize(
    ("ranks", "nodes", "gpus", "cpus"),
    [
        (1, 1, 1, 16),
        (4, 1, 4, 16),
        (8, 1, 8, 16),  # a node with eight GPUs; 24 CPUs each, capped at 16
        (12, 2, 6, 16),
        (16, 2, 8, 16),
        (24, 6, 4, 16),
    ],
)
def test_ranks_get_a_gpu_each_on_the_fewest_nodes(ranks, nodes, gpus, cpus):
    chosen, _ = choose(Resources(partition="gpu"), LARGE, ranks)
    assert (chosen.nodes, chosen.gpus_per_node, chosen.cpus_per_task) == (nodes, gpus, cpus)


@pytest.mark.parametrize(
    ("gpus", "ranks", "nodes", "chosen_gpus"),
    [
        ("h100", 8, 1, "h100:8"),
        ("a100", 8, 2, "a100:4"),  # twelve nodes with four, and those with eight have another type
        ("a100:2", 8, 4, "a100:2"),
        ("a100:4", 2, 1, "a100:2"),
        ("a100:1", 1, 1, "a100:1"),
    ],
)
def test_ranks_get_gpus_of_the_requested_type(gpus, ranks, nodes, chosen_gpus):
    chosen, _ = choose(Resources(partition="gpu", gpus_per_node=gpus), LARGE, ranks)
    assert (chosen.nodes, chosen.gpus_per_node) == (nodes, chosen_gpus)
    assert Allocation.by(chosen, ranks) == Allocation(ranks, "GPU", chosen.hours or 0.0)


def test_small_jobs_run_in_their_own_partition_within_its_limit(tmp_path):
    site = tmp_path / "site.toml"
    site.write_text('small_partition = "scavenge"\nhours = 20\nsetup = ["module load cuda"]\n')
    asked = Resources(partition="gpu", gpus_per_node="a100:4")
    small, _ = resolve_small(asked, site, LARGE)
    assert small.given() == {
        "partition": "scavenge",
        "nodes": 1,
        "gpus_per_node": 0,
        "cpus_per_task": 1,
        "hours": 12.0,
        "signal_delay_s": 90,
        "retries": 2,
        "setup": ("module load cuda",),
    }
    training, sentences = resolve(asked, site, LARGE, 4)
    assert (training.partition, training.gpus_per_node, training.hours) == ("gpu", "a100:4", 20.0)
    assert sentences[0] == f"hours 20.0, setup module load cuda, small_partition scavenge: from {site}"


def test_requested_resources_are_kept():
    asked = Resources(partition="gpu", nodes=4, gpus_per_node=1, cpus_per_task=3, hours=100.0)
    chosen, sentences = choose(asked, LARGE, 4)
    assert chosen == asked
    assert sentences == []


def test_measuring_uses_one_of_the_requested_gpus():
    chosen, _ = choose(Resources(partition="gpu", nodes=4, gpus_per_node=4), LARGE, 1)
    assert (chosen.nodes, chosen.gpus_per_node) == (1, 1)


def test_a_run_on_the_cpu_uses_no_gpus():
    chosen, _ = choose(Resources(partition="gpu"), LARGE, 2, on_gpus=False)
    assert chosen.gpus_per_node == 0


def test_the_partitions_limit_is_used_if_below_a_day():
    chosen, sentences = choose(Resources(partition="scavenge"), LARGE, 1)
    assert chosen.hours == 12
    assert "time limit 12 h: the limit of partition scavenge" in sentences
    both, _ = choose(Resources(partition="gpu,scavenge"), LARGE, 1)
    assert both.hours == 12


@pytest.mark.parametrize(
    ("asked", "ranks", "sentence"),
    [
        (
            Resources(partition="gpu"),
            128,
            "128 ranks cannot be spread evenly over partition gpu, which has 12 nodes with",
        ),
        (Resources(partition="gpu"), 17, "17 ranks cannot be spread evenly"),
        (Resources(partition="gpu", nodes=2), 3, "3 ranks cannot be spread evenly over 2 nodes"),
        (
            Resources(partition="gpu", gpus_per_node="v100"),
            1,
            r"1 rank with a GPU of type v100 each cannot .* 4 GPUs \(4 a100\), 2 nodes .* \(8 h100\);",
        ),
        (Resources(partition="cpu", cpus_per_task=129), 1, "200 nodes with 128 CPUs and 0 GPUs"),
    ],
)
def test_what_can_never_run_is_reported_in_one_sentence(asked, ranks, sentence):
    with pytest.raises(LaunchError, match=sentence):
        choose(asked, LARGE, ranks)


def test_without_a_default_partition_one_must_be_named():
    partition = Partition(name="a", is_default=False, limit_minutes=None)
    with pytest.raises(LaunchError, match=r"no default partition: name one with --partition \(a\)"):
        choose(Resources(), facts_with(partition), 1)


def test_a_hidden_partition_is_left_to_sbatch():
    chosen, sentences = choose(Resources(partition="secret"), LARGE, 2)
    assert chosen == Resources(partition="secret")
    assert sentences == ["partition secret is not among those that sinfo shows (cpu, gpu, scavenge, old)"]


@given(
    kinds=st.lists(
        st.builds(
            NodeKind,
            count=st.integers(1, 5),
            cpus=st.integers(1, 256),
            memory_mb=st.just(1000),
            gpus=st.integers(0, 8),
        ),
        max_size=4,
    ),
    limit=st.none() | st.floats(1, 1e5),
    ranks=st.integers(1, 64),
)
def test_what_is_chosen_exists(kinds, limit, ranks):
    """On any cluster: enough nodes have what is requested, or the request is refused."""
    partition = Partition(name="p", is_default=True, limit_minutes=limit, kinds=tuple(kinds))
    try:
        chosen, _ = choose(Resources(), facts_with(partition), ranks)
    except LaunchError:
        return
    job = job_parameters(chosen, ranks)
    cpus = job["ntasks_per_node"] * job["cpus_per_task"]
    gpus = job.get("gpus_per_node", 0)
    assert job["nodes"] * job["ntasks_per_node"] == ranks
    assert gpus in (0, job["ntasks_per_node"])
    assert (gpus > 0) == (partition.most_gpus > 0)
    assert partition.nodes_with(gpus=gpus, cpus=cpus) >= job["nodes"]
    assert job["cpus_per_task"] <= 16
    assert limit is None or job["time"] <= limit


def facts_with(partition: Partition) -> ClusterFacts:
    return ClusterFacts(
        version="1",
        has_accounting=True,
        requeues=True,
        max_array_size=1001,
        max_job_count=10000,
        partitions=(partition,),
    )
