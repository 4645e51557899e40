"""Helpers for tests of the preflight checks."""

from __future__ import annotations

from launch.clusters.slurm.findings import Finding


def of_level(level: str, findings: list[Finding]) -> list[str]:
    """The sentences of one level."""
    return [finding.sentence for finding in findings if finding.level == level]


def problem(findings: list[Finding]) -> str:
    """The only problem among them."""
    (sentence,) = of_level("problem", findings)
    return sentence
