"""How many jobs this user may have in the queue: the limits of the account and of the QOS, from one ``scontrol`` call.

A limit that ``scontrol`` does not show shows itself when sbatch refuses a job (``sbatch.NoRoom``).
"""

from __future__ import annotations

import os
import pwd
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from data_prep.counted import counted
from launch.clusters.slurm.facts import CLIENT_TIMEOUT_S, ClusterFacts

_LIMIT = re.compile(r"\b(?P<name>MaxSubmitJobs(?:P[AU])?|GrpSubmitJobs)=(?P<most>\d+)\((?P<used>\d+)\)")
_FIELD = re.compile(r"\b(?P<name>Account|UserName|Partition|ParentAccount|DefAssoc)=(?P<value>\S*)")
_QOS = re.compile(r"^QOS=(?P<name>.+)\(\d+\)$")


@dataclass(frozen=True, kw_only=True, slots=True)
class SubmitLimit:
    """A limit on the jobs in the queue, running or waiting; each task of an array counts."""

    name: str
    """SLURM's: ``MaxSubmitJobs``, ``GrpSubmitJobs``, ..."""
    owner: str
    """``account lab``, ``QOS long``."""
    most: int
    used: int
    """How many there are now, of all whom the limit applies to."""

    @property
    def room(self) -> int:
        """How many more it allows."""
        return max(0, self.most - self.used)

    def __str__(self) -> str:
        return f"{self.owner} allows {counted(self.most, 'job')} in the queue at once ({self.name})"


def tightest_limit(facts: ClusterFacts, account: str | None, qos: str | None) -> SubmitLimit | None:
    """The limit that leaves the least room for jobs of this account and QOS; None if none is known."""
    if not facts.enforces_limits:
        return None
    user = pwd.getpwuid(os.geteuid()).pw_name
    try:
        done = subprocess.run(
            ["scontrol", "show", "assoc_mgr", f"users={user}", "flags=assoc,qos"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=CLIENT_TIMEOUT_S,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return min(
        parsed_limits(done.stdout, user, os.geteuid(), account, qos),
        key=lambda limit: limit.room,
        default=None,
    )


def parsed_limits(
    shown: str, user: str, uid: int, account: str | None, qos: str | None
) -> Iterator[SubmitLimit]:
    """The limits in ``scontrol show assoc_mgr flags=assoc,qos`` that apply to this user's jobs.

    Args:
        shown: scontrol's output.
        user: name of the user.
        uid: of the user.
        account: what the jobs are charged to; None: the user's default.
        qos: of the jobs; None: the cluster's ``normal``, since the default of a user is not shown here.
    """
    associations, _, of_qos = shown.partition("QOS Records")
    records = [_Record(text) for text in re.split(r"^(?=ClusterName=)", associations, flags=re.M)]
    own = [record for record in records if record.user == user and not record.partition]
    own = [record for record in own if (record.is_default if account is None else record.account == account)]
    above = {record.account: record for record in records if not record.user}
    for record in own:
        yield from record.limits("MaxSubmitJobs")
        name, seen = record.account, set[str]()
        while name in above and name not in seen:
            seen.add(name)
            yield from above[name].limits("GrpSubmitJobs")
            name = above[name].parent
    accounts = {record.account for record in own}
    name = qos or "normal"
    yield from _qos_limits(name, _by_qos(of_qos).get(name, []), {user, str(uid), f"{user}({uid})"}, accounts)


class _Record:
    """An association."""

    def __init__(self, text: str) -> None:
        fields = dict(_FIELD.findall(text))
        self.account, self.parent = (
            fields.get("Account", ""),
            fields.get("ParentAccount", "").partition("(")[0],
        )
        self.user = fields.get("UserName", "").partition("(")[0]
        self.partition, self.is_default = fields.get("Partition", ""), fields.get("DefAssoc") == "Yes"
        self._text = text

    def limits(self, name: str) -> Iterator[SubmitLimit]:
        for match in _LIMIT.finditer(self._text):
            if match["name"] == name:
                yield _limit(match, f"account {self.account}")


def _by_qos(text: str) -> dict[str, list[str]]:
    """Name of a QOS → its lines."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        named = _QOS.fullmatch(line.strip())
        if named is not None:
            found[named["name"]] = []
        elif found:
            found[next(reversed(found))].append(line)
    return found


def _qos_limits(name: str, lines: list[str], users: set[str], accounts: set[str]) -> Iterator[SubmitLimit]:
    """The limits of a QOS: of all its jobs, of this user's, of the account's."""
    whose = ""
    for line in lines:
        for match in _LIMIT.finditer(line):
            applies = {
                "GrpSubmitJobs": True,
                "MaxSubmitJobsPU": whose in users,
                "MaxSubmitJobsPA": whose in accounts,
            }
            if applies.get(match["name"]):
                yield _limit(match, f"QOS {name}")
        if "=" not in line:
            whose = line.strip()


def _limit(match: re.Match[str], owner: str) -> SubmitLimit:
    return SubmitLimit(name=match["name"], owner=owner, most=int(match["most"]), used=int(match["used"]))
