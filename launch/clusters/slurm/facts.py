"""Facts about a cluster from SLURM's commands: partitions, nodes, limits."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from data_prep.errors import LaunchError

CLIENT_TIMEOUT_S = 60
SINFO = ("sinfo", "--noheader", "--exact", "--format=%P|%D|%c|%m|%G|%l")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodeKind:
    """Identical nodes of a partition."""

    count: int
    cpus: int
    memory_mb: int
    gpus: int
    gpu_types: tuple[tuple[str, int], ...] = ()
    """The number of GPUs of each type, for those that have one."""

    def gpus_of(self, kind: str | None) -> int:
        """The number of GPUs of this type; None: of any."""
        if kind is None:
            return self.gpus
        return sum(count for name, count in self.gpu_types if name.lower() == kind.lower())


@dataclass(frozen=True, kw_only=True, slots=True)
class Partition:
    """A partition of the cluster."""

    name: str
    is_default: bool
    limit_minutes: float | None
    """Maximum run time of a job; None: no limit."""
    is_up: bool = True
    preempt_mode: str = "OFF"
    """What happens to a preempted job: OFF, REQUEUE, CANCEL, SUSPEND; in capitals."""
    kinds: tuple[NodeKind, ...] = ()

    @property
    def most_gpus(self) -> int:
        """The largest number of GPUs on a node."""
        return self.most_gpus_of(None)

    def most_gpus_of(self, kind: str | None) -> int:
        """The largest number of GPUs of this type on a node; None: of any."""
        return max((node.gpus_of(kind) for node in self.kinds), default=0)

    @property
    def gpu_types(self) -> list[str]:
        """The types of its GPUs, by name."""
        return sorted({name for kind in self.kinds for name, _ in kind.gpu_types})

    def nodes_with(self, *, gpus: int, cpus: int, kind: str | None = None) -> int:
        """Number of nodes with at least ``gpus`` GPUs (of a type) and ``cpus`` CPUs."""
        return sum(node.count for node in self.kinds if node.gpus_of(kind) >= gpus and node.cpus >= cpus)


@dataclass(frozen=True, kw_only=True, slots=True)
class ClusterFacts:
    """The configuration of a cluster."""

    version: str
    has_accounting: bool
    requeues: bool
    """Whether a job that lost its node, or was preempted, is requeued (JobRequeue)."""
    max_array_size: int
    """One more than the largest array index."""
    max_job_count: int
    """Maximum number of jobs in the controller, of all users."""
    partitions: tuple[Partition, ...]
    enforces_limits: bool = False
    """Whether the limits of accounts and QOS hold (AccountingStorageEnforce)."""

    not_known: str | None = None
    """In a dry run: why the cluster could not be queried; everything else is then SLURM's default."""

    def named(self, names: str | None) -> list[Partition]:
        """The partitions of a request, comma-separated; the default one if it names none."""
        if names is None:
            return [partition for partition in self.partitions if partition.is_default][:1]
        wanted = names.split(",")
        return [partition for name in wanted for partition in self.partitions if partition.name == name]


def facts_for_a_dry_run() -> ClusterFacts:
    """The cluster's facts; if it does not answer, or this machine belongs to none, SLURM's defaults and the reason."""
    try:
        return read_facts()
    except LaunchError as error:
        return replace(cluster_facts(config="", partitions="", sinfo=""), not_known=str(error))


def read_facts() -> ClusterFacts:
    """Query the cluster that this machine belongs to; three calls.

    Raises:
        LaunchError: SLURM's programs are not installed, or do not answer.
    """
    return cluster_facts(
        config=_answer(("scontrol", "show", "config")),
        partitions=_answer(("scontrol", "--oneliner", "show", "partition")),
        sinfo=_answer(SINFO),
    )


def cluster_facts(*, config: str, partitions: str, sinfo: str) -> ClusterFacts:
    """The facts in the outputs of ``scontrol show config``, ``scontrol -o show partition`` and ``SINFO``."""
    settings = _settings(config)
    return ClusterFacts(
        version=settings.get("SLURM_VERSION", "unknown"),
        has_accounting=settings.get("AccountingStorageType", "(null)").rpartition("/")[2]
        not in ("none", "(null)", ""),
        requeues=settings.get("JobRequeue", "1") != "0",
        max_array_size=parsed_count(settings.get("MaxArraySize", "1001")),
        max_job_count=parsed_count(settings.get("MaxJobCount", "10000")),
        partitions=_partitions(partitions, sinfo),
        enforces_limits=bool(
            re.search(r"limits|qos|safe|all", settings.get("AccountingStorageEnforce", "none"))
        ),
    )


def parsed_count(text: str) -> int:
    """``4``, ``4+`` (4 or more) or ``1.5K``; 0 for anything else."""
    match = re.match(r"(\d+(?:\.\d+)?)([KMG]?)", text.strip())
    if match is None:
        return 0
    return round(float(match[1]) * 1024 ** " KMG".index(match[2] or " "))


def parsed_gpus(gres: str) -> int:
    """GPUs in a node's generic resources: ``gpu:a100:4(S:0-1),shard:8`` has 4, ``(null)`` none."""
    return sum(count for _, count in _gpus_of_each_type(gres))


def parsed_gpu_types(gres: str) -> tuple[tuple[str, int], ...]:
    """The types of a node's GPUs: ``gpu:a100:4(S:0-1),shard:8`` has 4 ``a100``; GPUs without a type are left out."""
    found: dict[str, int] = {}
    for kind, count in _gpus_of_each_type(gres):
        if kind:
            found[kind] = found.get(kind, 0) + count
    return tuple(found.items())


def _gpus_of_each_type(gres: str) -> Iterator[tuple[str, int]]:
    for entry in re.sub(r"\([^)]*\)", "", gres).split(","):
        name, *rest = entry.strip().removeprefix("gres/").split(":")
        if name == "gpu":
            is_counted = bool(rest) and re.fullmatch(r"\d+(?:\.\d+)?[KMG]?", rest[-1]) is not None
            kind = rest[:-1] if is_counted else rest
            yield ":".join(kind), parsed_count(rest[-1]) if is_counted else 1


def parsed_minutes(text: str) -> float | None:
    """A time limit (``30``, ``30:00``, ``1:00:00``, ``7-00:00:00``, ``1-12``) in minutes; None: there is no limit."""
    match = re.fullmatch(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?", text.strip())
    if match is None:
        return None  # infinite, UNLIMITED, n/a
    days, first, second, third = (int(part) if part else 0 for part in match.groups())
    if match[1] is not None or match[4] is not None:
        return 1440.0 * days + 60 * first + second + third / 60
    return first + second / 60


def _settings(config: str) -> dict[str, str]:
    """``Name = value`` lines; the first of a name counts, since plugins' settings follow."""
    settings: dict[str, str] = {}
    for line in config.splitlines():
        name, equals, value = line.partition("=")
        if equals:
            settings.setdefault(name.strip(), value.strip())
    return settings


def _partitions(shown: str, sinfo: str) -> tuple[Partition, ...]:
    details = {}
    for line in shown.splitlines():
        fields = dict(word.partition("=")[::2] for word in line.split() if "=" in word)
        details[fields.get("PartitionName", "")] = fields
    rows: dict[str, list[list[str]]] = {}
    for line in sinfo.splitlines():
        row = line.strip().split("|")
        if len(row) == 6:
            rows.setdefault(row[0], []).append(row)
    partitions = []
    for starred, own in rows.items():
        name = starred.removesuffix("*")
        fields = details.get(name, {})
        kinds = (
            NodeKind(
                count=parsed_count(count),
                cpus=parsed_count(cpus),
                memory_mb=parsed_count(memory),
                gpus=parsed_gpus(gres),
                gpu_types=parsed_gpu_types(gres),
            )
            for _, count, cpus, memory, gres, _ in own
        )
        partitions.append(
            Partition(
                name=name,
                is_default=starred != name or fields.get("Default") == "YES",
                limit_minutes=parsed_minutes(fields.get("MaxTime", own[0][5])),
                is_up=fields.get("State", "UP") == "UP",
                preempt_mode=fields.get("PreemptMode", "OFF"),
                kinds=tuple(kind for kind in kinds if kind.count),
            )
        )
    return tuple(partitions)


def _answer(command: Sequence[str]) -> str:
    shown = " ".join(word for word in command if not word.startswith("--"))
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CLIENT_TIMEOUT_S, check=True
        )
    except FileNotFoundError:
        raise LaunchError(f"{command[0]} is not installed: run this on a login node of the cluster") from None
    except subprocess.TimeoutExpired:
        raise LaunchError(f"'{shown}' does not answer within {CLIENT_TIMEOUT_S} s; try again later") from None
    except subprocess.CalledProcessError as error:
        output = (error.stderr.strip().splitlines() or ["no message"])[-1]
        raise LaunchError(f"'{shown}' fails ({output}); is the cluster up?") from None
    return done.stdout
