"""GPUs of a job on a node, with their type: ``2``, ``a100:2``, or ``a100`` for as many of that type as there are ranks."""

from __future__ import annotations

import re
from dataclasses import dataclass

from data_prep.errors import ConfigError

# A type may begin with a digit, such as 1g.5gb, a part of a GPU.
_REQUEST = re.compile(r"(?:(?P<kind>(?=[^:]*[A-Za-z])[\w.+-]+)(?::(?=\d)|$))?(?P<count>\d+)?")


@dataclass(frozen=True, slots=True)
class Gpus:
    """A request for GPUs on each node."""

    count: int | None = None
    """None: one per rank."""
    kind: str | None = None
    """The type as the cluster names it, such as ``a100``; None: any."""

    @classmethod
    def parsed(cls, request: int | str | None, field: str = "gpus_per_node") -> Gpus:
        """The request of a field; ConfigError if it is none."""
        if request is None:
            return cls()
        match = _REQUEST.fullmatch(str(request).strip())
        if match is None or not match[0]:
            raise ConfigError(
                f"{field} is {request}; it must be a number of at least 0, a type and a number (a100:2), or a type"
            )
        return cls(None if match["count"] is None else int(match["count"]), match["kind"])

    @property
    def request(self) -> int | str | None:
        """The request as a field has it."""
        if self.kind is None or self.count == 0:
            return self.count
        return self.kind if self.count is None else f"{self.kind}:{self.count}"

    def on_node(self, ranks: int) -> Gpus:
        """The GPUs of ``ranks`` ranks on a node: at most one each."""
        if self.count is None:
            return Gpus(0 if self.kind is None else ranks, self.kind)
        return Gpus(min(self.count, ranks), self.kind)
