"""Reading a cluster: recorded output of several SLURMs, arbitrary text, and the real one."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from data_prep.errors import LaunchError
from launch.clusters.slurm import facts as facts_module
from launch.clusters.slurm.facts import (
    NodeKind,
    cluster_facts,
    parsed_count,
    parsed_gpus,
    parsed_minutes,
    read_facts,
)

CONFIG_22_05 = """\
Configuration data as of 2026-11-22T13:22:20
AccountingStorageBackupHost = (null)
AccountingStorageEnforce = none
AccountingStorageType   = accounting_storage/none
JobRequeue              = 1
MaxArraySize            = 1001
MaxJobCount             = 10000
PreemptMode             = REQUEUE
SLURM_VERSION           = 22.05.8

Slurmctld(primary) at controller is UP
"""
CONFIG_24_11 = """\
Configuration data as of 2026-01-05T09:12:44
AccountingStorageEnforce = associations,limits,qos,safe
AccountingStorageType   = accounting_storage/slurmdbd
JobRequeue              = 0
MaxArraySize            = 100001
MaxJobCount             = 500000
SLURM_VERSION           = 24.11.3

Cgroup Support Configuration:
CgroupPlugin            = autodetect
MaxArraySize            = 7
"""
PARTITIONS_24_11 = """\
PartitionName=cpu AllowGroups=ALL Default=YES QoS=N/A MaxTime=7-00:00:00 PreemptMode=OFF State=UP TRES=cpu=25600
PartitionName=gpu AllowGroups=ALL Default=NO MaxTime=2-00:00:00 PreemptMode=OFF State=UP
PartitionName=scavenge AllowGroups=ALL Default=NO MaxTime=12:00:00 PreemptMode=CANCEL State=UP
PartitionName=old AllowGroups=ALL Default=NO MaxTime=UNLIMITED PreemptMode=OFF State=DRAIN
"""
SINFO_24_11 = """\
cpu*|200|128|515000|(null)|7-00:00:00
gpu|12|64|1031000|gpu:a100:4(S:0-1)|2-00:00:00
gpu|2|192|2063000|gpu:h100:8(S:0-7),shard:h100:64(S:0-7)|2-00:00:00
scavenge|200|128|515000|(null)|12:00:00
scavenge|12|64|1031000|gpu:a100:4(S:0-1)|12:00:00
old|3|16+|64000+|gpu:k80:1,gpu:v100:2|infinite
"""


def test_a_small_cluster_without_accounting():
    facts = cluster_facts(
        config=CONFIG_22_05,
        partitions="PartitionName=main Default=YES MaxTime=UNLIMITED PreemptMode=REQUEUE State=UP\n",
        sinfo="main*|4|4|16000|gpu:2|infinite\n",
    )
    assert (facts.version, facts.has_accounting, facts.requeues) == ("22.05.8", False, True)
    assert (facts.max_array_size, facts.max_job_count) == (1001, 10000)
    (main,) = facts.partitions
    assert (main.name, main.is_default, main.limit_minutes, main.preempt_mode) == (
        "main",
        True,
        None,
        "REQUEUE",
    )
    assert main.kinds == (NodeKind(count=4, cpus=4, memory_mb=16000, gpus=2),)


def test_a_large_cluster_with_several_kinds_of_nodes():
    facts = cluster_facts(config=CONFIG_24_11, partitions=PARTITIONS_24_11, sinfo=SINFO_24_11)
    assert (facts.version, facts.has_accounting, facts.requeues) == ("24.11.3", True, False)
    assert (facts.max_array_size, facts.max_job_count) == (100001, 500000)
    assert [partition.name for partition in facts.named(None)] == ["cpu"]
    cpu, gpu, scavenge, old = facts.partitions
    assert [partition.most_gpus for partition in facts.partitions] == [0, 8, 4, 3]
    assert [partition.limit_minutes for partition in facts.partitions] == [10080, 2880, 720, None]
    assert (scavenge.preempt_mode, old.is_up, cpu.is_up) == ("CANCEL", False, True)
    types = (("k80", 1), ("v100", 2))
    assert old.kinds == (NodeKind(count=3, cpus=16, memory_mb=64000, gpus=3, gpu_types=types),)
    assert gpu.gpu_types == ["a100", "h100"]
    assert [gpu.most_gpus_of(kind) for kind in ("a100", "H100", "v100")] == [4, 8, 0]
    assert gpu.nodes_with(gpus=4, cpus=1, kind="a100") == 12
    assert [gpu.nodes_with(gpus=count, cpus=1) for count in (0, 4, 5, 8, 9)] == [14, 14, 2, 2, 0]
    assert [partition.name for partition in facts.named("scavenge,gpu,nowhere")] == ["scavenge", "gpu"]


@pytest.mark.parametrize(
    ("text", "gpus"),
    [
        ("(null)", 0),
        ("", 0),
        ("gpu:2", 2),
        ("gpu", 1),
        ("gpu:h100:8", 8),
        ("gpu:a100:4(S:0-1)", 4),
        ("gpu:a100_3g.20gb:2(S:0),gpu:a100_7g.80gb:1(S:1)", 3),
        ("gpu:rtx6000:4(S:0,2),lscratch:900", 4),
        ("craynetwork:4,gpu:gh200:4", 4),
        ("mps:400,shard:16", 0),
        ("gres/gpu:4", 4),
        ("gpu:tesla(S:0)", 1),
    ],
)
def test_gpus_of_a_node(text, gpus):
    assert parsed_gpus(text) == gpus


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("infinite", None),
        ("UNLIMITED", None),
        ("n/a", None),
        ("30", 30),
        ("30:00", 30),
        ("1:30:00", 90),
        ("1-00:00:00", 1440),
        ("7-00:00:00", 10080),
        ("2-12", 3600),
        ("1-00:30", 1470),
    ],
)
def test_time_limits(text, minutes):
    assert parsed_minutes(text) == minutes


@given(
    days=st.integers(0, 400), hours=st.integers(0, 23), minutes=st.integers(0, 59), seconds=st.integers(0, 59)
)
def test_any_time_limit_as_slurm_prints_it_is_read(days, hours, minutes, seconds):
    """In SLURM's format: days and hours only if there are any."""
    expected = days * 1440 + hours * 60 + minutes + seconds / 60
    short = f"{minutes:02}:{seconds:02}"
    printed = f"{days}-{hours:02}:{short}" if days else f"{hours:02}:{short}" if hours else short
    read = parsed_minutes(printed)
    assert read is not None
    assert math.isclose(read, expected)


@given(
    types=st.lists(
        st.tuples(st.from_regex(r"[a-z][a-z0-9_.]{0,8}", fullmatch=True), st.integers(1, 16), st.booleans()),
        max_size=4,
    )
)
def test_gpus_of_all_types_are_added(types):
    gres = ",".join(f"gpu:{name}:{count}{'(S:0,1-3)' if bound else ''}" for name, count, bound in types)
    assert parsed_gpus(gres or "(null)") == sum(count for _, count, _ in types)


@given(config=st.text(), partitions=st.text(), sinfo=st.text())
def test_no_text_breaks_the_reading(config, partitions, sinfo):
    facts = cluster_facts(config=config, partitions=partitions, sinfo=sinfo)
    assert facts.max_array_size >= 0
    assert parsed_count(sinfo) >= 0
    assert parsed_gpus(sinfo) >= 0


def test_without_slurm_the_error_is_one_sentence(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LaunchError, match="scontrol is not installed: run this on a login node"):
        read_facts()


def test_slurms_own_message_is_shown_when_it_fails(monkeypatch, tmp_path):
    (tmp_path / "scontrol").write_text(
        "#!/bin/sh\necho 'slurm_load_ctl_conf error: no controller' >&2\nexit 1\n"
    )
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        LaunchError, match=r"'scontrol show config' fails \(slurm_load_ctl_conf error: no controller\)"
    ):
        read_facts()


def test_a_controller_that_does_not_answer_times_out(monkeypatch, tmp_path):
    (tmp_path / "scontrol").write_text("#!/bin/sh\nexec /bin/sleep 30\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(facts_module, "CLIENT_TIMEOUT_S", 0.2)
    with pytest.raises(LaunchError, match="does not answer"):
        read_facts()


@pytest.mark.slurm
def test_the_real_cluster_is_read(slurm_cluster):
    facts = read_facts()
    assert facts.has_accounting
    assert facts.requeues
    assert facts.max_array_size == 1001
    assert [(partition.name, partition.is_default) for partition in facts.partitions] == [
        ("main", True),
        ("urgent", False),
    ]
    assert facts.partitions[0].kinds == (NodeKind(count=4, cpus=4, memory_mb=16000, gpus=2),)
    assert facts.partitions[0].limit_minutes is None
