"""SLURM's configuration files; non-obvious settings have a comment."""

from __future__ import annotations

import secrets
from pathlib import Path

from tests.cluster.layout import CORES_PER_NODE, GPUS_PER_NODE, MEMORY_PER_NODE_MB, Layout


def slurm_conf(layout: Layout) -> str:
    state, logs = layout.state, layout.logs
    # Anywhere: a folder of results outlives a cluster, and ids that start at 1 again would meet the results of its former
    # jobs. From the id follows, too, the port at which the ranks of a job meet, and clusters that stand side by side on
    # this machine share its ports. SLURM's largest id is 67,043,328.
    first_job_id = secrets.randbelow(60_000_000) + 1
    lines = [
        "ClusterName=traitvae",
        "SlurmctldHost=controller(127.0.0.1)",
        f"SlurmctldPort={layout.controller_port}",
        "SlurmUser=root",
        "SlurmdUser=root",
        "AuthType=auth/munge",
        # The default of 120 s delays every requeue by as much.
        f"AuthInfo=socket={layout.munge_socket},cred_expire=5",
        "CommunicationParameters=NoInAddrAny,NoCtldInAddrAny",
        f"StateSaveLocation={state}/controller",
        f"SlurmdSpoolDir={state}/%n",
        f"SlurmctldPidFile={state}/slurmctld.pid",
        f"SlurmdPidFile={state}/slurmd-%n.pid",
        f"SlurmctldLogFile={logs}/slurmctld.log",
        f"SlurmdLogFile={logs}/slurmd-%n.log",
        "MpiDefault=none",
        "ProctrackType=proctrack/linuxproc",
        "TaskPlugin=task/none",
        f"TaskProlog={layout.task_prolog}",
        "SwitchType=switch/none",
        "MailProg=/bin/true",
        "JobAcctGatherType=jobacct_gather/linux",
        "SelectType=select/cons_tres",
        "SelectTypeParameters=CR_Core_Memory",
        "DefMemPerCPU=100",
        # The nodes have the configured resources, not the machine's.
        "SlurmdParameters=config_overrides",
        "GresTypes=gpu",
        "ReturnToService=2",
        "SlurmdTimeout=10",
        "KillWait=3",
        "MinJobAge=300",
        "JobRequeue=1",
        # A job that can never run is refused on submission, not left pending forever.
        "EnforcePartLimits=ALL",
        "PreemptType=preempt/partition_prio",
        "PreemptMode=REQUEUE",
        "SlurmctldParameters=preempt_send_user_signal",
        "SchedulerParameters=batch_sched_delay=0,bf_interval=1,sched_interval=2,sched_min_interval=0",
        f"FirstJobId={first_job_id}",
    ]
    if layout.accounting:
        lines += [
            "AccountingStorageType=accounting_storage/slurmdbd",
            "AccountingStorageHost=127.0.0.1",
            f"AccountingStoragePort={layout.accounting_port}",
            # With our own munge socket; without it sacct uses the system's munge and hangs.
            f"AccountingStoragePass={layout.munge_socket}",
            "AccountingStorageTRES=gres/gpu",
        ]
    lines += [
        f"NodeName={name} NodeAddr=127.0.0.1 Port={layout.first_port + 2 + index}"
        f" CPUs={CORES_PER_NODE} RealMemory={MEMORY_PER_NODE_MB} Gres=gpu:{GPUS_PER_NODE}"
        for index, name in enumerate(layout.node_names)
    ]
    lines += [
        "PartitionName=main Nodes=ALL Default=YES PriorityTier=10 PreemptMode=REQUEUE GraceTime=10",
        "PartitionName=urgent Nodes=ALL PriorityTier=100 PreemptMode=OFF",
    ]
    return "\n".join(lines) + "\n"


def gres_conf(layout: Layout) -> str:
    """Emulated GPUs are device files; a count without files would drain the node."""
    return f"Name=gpu File={layout.devices}/nvidia[0-{GPUS_PER_NODE - 1}]\n"


def slurmdbd_conf(layout: Layout) -> str:
    return "\n".join(
        [
            "AuthType=auth/munge",
            f"AuthInfo=socket={layout.munge_socket}",
            "DbdHost=localhost",
            "DbdAddr=127.0.0.1",
            f"DbdPort={layout.accounting_port}",
            # Without it slurmdbd listens on every address of the machine.
            "CommunicationParameters=NoInAddrAny",
            "SlurmUser=root",
            f"PidFile={layout.state}/slurmdbd.pid",
            f"LogFile={layout.logs}/slurmdbd.log",
            "StorageType=accounting_storage/mysql",
            "StorageHost=localhost",
            "StorageUser=root",
            "StorageLoc=slurm_acct_db",
            "",
        ]
    )


def hosts(layout: Layout) -> str:
    """``/etc/hosts`` as the cluster's processes see it: its names on loopback, then the machine's entries."""
    names = ["localhost", "controller", *layout.node_names]
    machine = Path("/etc/hosts")
    return "".join(f"127.0.0.1 {name}\n" for name in names) + (
        machine.read_text() if machine.exists() else ""
    )


def task_prolog() -> str:
    """A script whose output SLURM adds to the environment of every task: as a site does for its jobs."""
    return """#!/bin/sh
# All nodes are this machine: gloo must use loopback, not the network interface of the host name.
echo "export GLOO_SOCKET_IFNAME=lo"
# A job that was submitted with a bare environment (--export=NONE) still finds its programs and its home.
[ -n "$HOME" ] || echo "export HOME=/root"
[ -n "$PATH" ] || echo "export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""
