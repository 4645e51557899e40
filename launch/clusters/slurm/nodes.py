"""The nodes of a partition and which of them are away: one ``sinfo`` call."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from dataclasses import dataclass

from data_prep.counted import counted
from launch.clusters.slurm.facts import CLIENT_TIMEOUT_S

_AWAY = re.compile(r"(drain|down|maint|fail|no_respond|error|unk|inval)\w*", re.I)


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """A node as ``sinfo`` shows it."""

    name: str
    state: str
    """``idle``, ``mixed``, ``drained``, ``down``, ... without the marks after it."""
    reason: str
    """An administrator's, for a node that is away; else empty."""

    @property
    def is_away(self) -> bool:
        """Whether no job can start on it, until an administrator changes that."""
        return _AWAY.fullmatch(self.state) is not None


def nodes_of(partition: str | None) -> list[Node]:
    """The nodes of the partitions (comma-separated; None: all); empty if sinfo does not answer."""
    chosen = [f"--partition={partition}"] if partition else []
    command = ["sinfo", "--noheader", "--Node", *chosen, "--format=%N|%T|%E"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=CLIENT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return []
    return parsed_nodes(done.stdout)


def parsed_nodes(shown: str) -> list[Node]:
    """The nodes in ``sinfo --Node --format=%N|%T|%E``, each once."""
    found = {}
    for line in shown.splitlines():
        name, bar, rest = line.strip().partition("|")
        state, _, reason = rest.partition("|")
        if bar:
            plain = re.match(r"\w*", state)
            found[name] = Node(
                name=name, state=plain[0] if plain else "", reason="" if reason == "none" else reason.strip()
            )
    return list(found.values())


def away_words(nodes: list[Node]) -> str | None:
    """How many nodes are away, and why; None if none is."""
    away = Counter((node.state, node.reason) for node in nodes if node.is_away)
    if not away:
        return None
    words = [
        f"{count} {'is' if count == 1 else 'are'} {state}{f' ({reason})' if reason else ''}"
        for (state, reason), count in away.items()
    ]
    return f"of {counted(len(nodes), 'node')}, {', '.join(words)}"
