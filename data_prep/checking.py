"""A look at raw files before any work: every line of the lists and every picture, and all that is wrong with them."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, runtime_checkable

from data_prep.damaged_rows import damaged_rows
from data_prep.errors import RawDataError
from data_prep.faults import Fault, OnError, SeveralFaults
from data_prep.files import atomic_path
from data_prep.progress import Progress
from data_prep.sources import source_named
from data_prep.sources.options import Option
from data_prep.sources.source import Source


@runtime_checkable
class Surveys(Protocol):
    """A source that can go on after an error in its lists."""

    def surveyed(self, scratch: Path, on_error: OnError) -> Source:
        """As ``verified``, with every error passed on, and with what can be used in spite of them."""
        ...


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong."""

    picture: str
    """empty if it is about a list, or about the raw files as a whole"""
    listed: str
    """list and line that name the picture"""
    problem: str

    def __str__(self) -> str:
        return f"{self.picture} ({self.listed}) {self.problem}" if self.picture else self.problem


@dataclass(frozen=True)
class Check:
    """The result of a look at raw files."""

    findings: tuple[Finding, ...]
    rows: Mapping[str, int]
    """split → rows that were made; empty if that was not possible"""


def check(
    name: str,
    *,
    raw: Path | None,
    options: Mapping[str, Option],
    workers: int | None = None,
    progress: Progress,
) -> Check:
    """Read every line and make every row of a source, without writing anything but temporary files."""
    source, errors = source_named(name, raw, options), list[RawDataError]()
    with TemporaryDirectory(prefix="traitvae-check-") as scratch:
        try:
            ready = (
                source.surveyed(Path(scratch), errors.append)
                if isinstance(source, Surveys)
                else source.verified(Path(scratch), progress, workers)
            )
            faults = damaged_rows(ready, workers, progress)
            rows = dict(ready.splits())
        except RawDataError as error:
            errors.append(error)
            faults, rows = [], {}
    findings = [Finding("", "", sentence) for error in errors for sentence in _sentences(error)]
    findings += [
        Finding(fault.picture, fault.listed, fault.reason)
        if isinstance(fault, Fault)
        else Finding("", "", str(fault))
        for fault in faults
    ]
    return Check(tuple(findings), rows)


def write_findings(path: Path, findings: Sequence[Finding]) -> None:
    """A CSV file with the columns ``picture``, ``listed`` and ``problem``."""
    with atomic_path(path) as partial, partial.open("x", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("picture", "listed", "problem"))
        writer.writerows((finding.picture, finding.listed, finding.problem) for finding in findings)


def _sentences(error: RawDataError) -> Sequence[str]:
    return error.sentences if isinstance(error, SeveralFaults) else [str(error)]
